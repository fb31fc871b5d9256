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
        var header = [FrozenCode.magic, program, UInt64(processors.count)]
        // The block lists live here until they are written.
        var lists: [[FrozenCode.Block]] = []
        for processor in processors {
            guard let list = processor.fetcher.frozenBlocks(places) else { return [] }
            lists.append(list)
        }
        return withExtendedLifetime(lists) {
            for (processor, list) in zip(processors, lists) {
                writer.processor = FrozenCode.Processor()
                do throws(HostError) { try processor.fetcher.freeze(processor.cpu, into: &writer) } catch { return [] }
                // SAFETY: the array lives, unchanged, until all is written.
                unsafe list.withUnsafeBytes { unsafe writer.processor.blocks = writer.add($0, at: 0) }
                header += FrozenCode.Words(writer.processor).words
            }
            return (try? writer.write(header: header)) ?? []
        }
    }

    /// Has the processors go on with a parent's code. The blocks are those that the parent named, with the same contents.
    /// False, with nothing done for the processors that are left, where it cannot be had here. Before any of them runs.
    ///
    /// The files are trusted as the program is: they come from who could as well have started another program.
    public func adoptCode(_ files: [HostOS.Descriptor], of blocks: [RAMBlock]) -> Bool {
        guard let file = files.first, files.allSatisfy(\.isSealed), let program = FrozenCode.program else {
            return false
        }
        let sizes = files.map(\.fileSize)
        var words = [UInt64](repeating: 0, count: 3 + processors.count * FrozenCode.Words.count)
        let count = words.count * 8
        let transfer = words.withUnsafeMutableBytes { unsafe file.read(into: $0, at: 0) }
        guard case .moved(count) = transfer, words[0] == FrozenCode.magic, words[1] == program,
            words[2] == UInt64(processors.count)
        else { return false }
        for (number, processor) in processors.enumerated() {
            let first = 3 + number * FrozenCode.Words.count
            var part = FrozenCode.Words(Array(words[first..<first + FrozenCode.Words.count]))
            guard let described = part.processor(sizes), processor.adopt(described, files, blocks) else { return false }
        }
        return true
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
