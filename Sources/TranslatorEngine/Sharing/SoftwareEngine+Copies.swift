internal import CEngine
public import GuestMemory
public import HostOS

// A copy of a running machine (a fork) goes on with what its parent has decoded and translated. What the two translate from
// then on, or drop, is each one's own.

extension SoftwareEngine {
    /// The code that the processors have for memory of these blocks, as sealed files for copies of the machine in other
    /// processes of this program, at most 17; none where there is nothing to be had. No processor runs.
    public func freezeCode(of blocks: [RAMBlock]) -> [HostOS.Descriptor] {
        guard let program = FrozenCode.program, processors.count <= FrozenCode.mostProcessors else { return [] }
        // What one of them says to the others of its own messages is answered in the second round.
        for _ in 0..<2 { for processor in processors { processor.takeMessages() } }
        let places = MemoryPlaces(blocks)
        var writer = FrozenCode.Writer(givesFiles: processors.count <= 8)
        var described: [FrozenCode.Processor] = []
        // The block lists live here until they are written.
        var lists: [(blocks: [FrozenCode.Block], parts: [FrozenCode.Part])] = []
        for processor in processors {
            guard let list = processor.fetcher.frozenBlocks(places) else { return [] }
            lists.append(list)
        }
        return withExtendedLifetime(lists) {
            for (processor, list) in zip(processors, lists) {
                writer.processor = FrozenCode.Processor()
                do throws(HostError) { try processor.fetcher.freeze(processor.cpu, into: &writer) } catch { return [] }
                // SAFETY: the arrays live, unchanged, until all is written.
                unsafe list.blocks.withUnsafeBytes { unsafe writer.processor.blocks = writer.add($0, at: 0) }
                unsafe list.parts.withUnsafeBytes { unsafe writer.processor.parts = writer.add($0, at: 0) }
                described.append(writer.processor)
            }
            return (try? writer.write(described, program: program)) ?? []
        }
    }

    /// Has the processors go on with a parent's code. The blocks are those that the parent named, with the same contents.
    /// False, with nothing done for the processors that are left, where it cannot be had here. Before any of them runs.
    ///
    /// The files are trusted as the program is: they come from who could as well have started another program.
    public func adoptCode(_ files: [HostOS.Descriptor], of blocks: [RAMBlock]) -> Bool {
        guard let described = FrozenCode.processors(files, count: processors.count) else { return false }
        return zip(processors, described).allSatisfy { $0.adopt($1, files, blocks) }
    }
}

/// Finds the RAM block that a host address is in.
struct MemoryPlaces {
    private let ranges: [(start: UInt, end: UInt, number: UInt16)]

    init(_ blocks: [RAMBlock]) {
        ranges = blocks.enumerated().map { number, block in
            let start = unsafe UInt(bitPattern: block.base)
            return (start, start + UInt(block.size), UInt16(truncatingIfNeeded: number))
        }
    }
    func place(_ host: UInt) -> (memory: UInt16, offset: UInt64)? {
        for range in ranges where host >= range.start && host < range.end {
            return (range.number, UInt64(host - range.start))
        }
        return nil
    }
}
