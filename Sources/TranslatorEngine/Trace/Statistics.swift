internal import CEngine
internal import Execution

// Counters for `info jit`. Read while the processors stand.

/// Why a processor's loop was left for the machine, counted.
struct ExitCounters {
    private var counts = [UInt64](repeating: 0, count: 10)
    private static let names = [
        "port reads", "port writes", "device reads", "device writes", "interrupt acknowledges", "ends of interrupts",
        "kicks", "shutdowns", "debugger", "errors",
    ]

    mutating func count(_ exit: Exit) {
        let place =
            switch exit {
            case .portRead: 0
            case .portWrite: 1
            case .mmioRead: 2
            case .mmioWrite: 3
            case .interruptAcknowledge: 4
            case .endOfInterrupt: 5
            case .interrupted, .halt: 6
            case .shutdown: 7
            case .debug: 8
            case .error: 9
            }
        counts[place] &+= 1
    }
    var lines: [(name: String, count: UInt64)] { zip(Self.names, counts).map { ($0, $1) } }
}

extension SoftwareEngine {
    /// Lines about blocks, translated code and exits.
    public var translationStatistics: [String]? {
        var total = TranslationCounters()
        for processor in processors { total.add(processor) }
        var lines = ["Translation buffer state:"]
        func line(_ name: String, _ value: String) {
            lines.append(name + String(repeating: " ", count: max(1, 24 - name.utf8.count)) + value)
        }
        line("gen code size", "\(total.codeSize)/\(total.codeCapacity)")
        line("TB count", "\(total.translatedNow)")
        let average = total.translatedNow == 0 ? 0 : total.codeSize / total.translatedNow
        line("TB avg host size", "\(average) bytes")
        line("accesses by", total.isTagged ? "the TLB, as the host has no room for tables" : "tables")
        line("decoded blocks", "\(total.blocks) of \(total.blockCapacity)")
        line("decoded operations", "\(total.operations) of \(total.operationCapacity)")
        lines += ["", "Statistics:"]
        line("TB translated", "\(total.translated)")
        line("superblocks", "\(total.superblocks)")
        line("calls in superblocks", "\(total.inlinedCalls)")
        line("TB flush count", "\(total.resets)")
        line("TB invalidate count", "\(total.dropped)")
        line("TLB full flushes", "\(total.flushes)")
        line("TLB fills", "\(total.misses)")
        line("exceptions", "\(total.exceptions)")
        line("interrupts", "\(total.interrupts)")
        for processor in processors {
            guard let verifier = processor.fetcher.verifier else { continue }
            line("verified blocks", "\(verifier.compared)")
            line("verified again", "\(verifier.repeated)")
        }
        lines += ["", "Ways out of translated code:"]
        for (name, count) in total.ways { line(name, "\(count)") }
        for processor in processors {
            lines += ["", "Exits of CPU #\(processor.index):"]
            for (name, count) in processor.exits.lines where count > 0 { line(name, "\(count)") }
        }
        return lines
    }
}

private struct TranslationCounters {
    var codeSize = 0
    var codeCapacity = 0
    var translatedNow = 0
    var blocks = 0
    var blockCapacity = 0
    var operations = 0
    var operationCapacity = 0
    var isTagged = false
    var translated: UInt64 = 0
    var superblocks: UInt64 = 0
    var inlinedCalls: UInt64 = 0
    var resets: UInt64 = 0
    var dropped: UInt64 = 0
    var flushes: UInt64 = 0
    var misses: UInt64 = 0
    var exceptions: UInt64 = 0
    var interrupts: UInt64 = 0
    var ways: [(name: String, count: UInt64)] = [
        ("slow accesses", 0), ("interpreted ops", 0), ("interpreted ends", 0), ("direct links", 0),
        ("indirect jumps", 0), ("links to other pages", 0), ("host faults", 0), ("look-ups", 0),
    ]

    mutating func add(_ processor: SoftwareProcessor) {
        let cache = processor.fetcher.cache
        blocks += cache.blockCount
        blockCapacity += BlockCache.blockCapacity
        operations += cache.opCount
        operationCapacity += BlockCache.opCapacity
        dropped &+= cache.dropped
        resets &+= cache.resets
        if let translator = processor.fetcher.translator {
            codeSize += translator.usedCode
            codeCapacity += translator.capacity
            translatedNow += translator.translatedSinceReset
            translated &+= translator.translated
            isTagged = isTagged || translator.tables.isTagged
            superblocks &+= translator.superblocks
            inlinedCalls &+= translator.inlinedCalls
        }
        // SAFETY: the processor stands, and its structure lives as long as it does.
        let p = unsafe processor.cpu.p
        unsafe flushes &+= p.pointee.tlb_flushes
        unsafe misses &+= p.pointee.tlb_misses
        unsafe exceptions &+= p.pointee.exceptions
        unsafe interrupts &+= p.pointee.interrupts
        for index in ways.indices { unsafe ways[index].count &+= apus_way_out(p, Int32(index)) }
    }
}
