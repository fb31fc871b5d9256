internal import Machine

// Commands that begin with `q` and `Q`.
extension RemoteSession {
    func query(_ content: [UInt8]) -> [UInt8] {
        func rest(_ prefix: String) -> ArraySlice<UInt8>? {
            content.starts(with: prefix.utf8) ? content.dropFirst(prefix.utf8.count) : nil
        }
        if let features = rest("qSupported") { return supported(features) }
        if content.elementsEqual("QStartNoAckMode".utf8) {
            startNoAcknowledge()
            return Self.ok
        }
        if let wanted = rest("qXfer:features:read:") { return description(wanted) }
        if content.elementsEqual("qfThreadInfo".utf8) {
            unnamed = Array(0..<target.processorCount)
            return threads()
        }
        if content.elementsEqual("qsThreadInfo".utf8) { return threads() }
        if let thread = rest("qThreadExtraInfo,") { return threadText(thread) }
        if content.elementsEqual("qC".utf8) { return Array("QC\(threadName(current))".utf8) }
        if content.starts(with: "qAttached".utf8) { return Array("1".utf8) }
        if let line = rest("qRcmd,") { return monitorCommand(line) }
        return own(content, rest("Qqemu.sstep="), rest("Qqemu.PhyMemMode:"))
    }

    private func supported(_ features: ArraySlice<UInt8>) -> [UInt8] {
        let words = features.dropFirst().split(separator: UInt8(ascii: ";"))
        usesProcesses = words.contains { $0.elementsEqual("multiprocess+".utf8) }
        let size = String(RemoteFramer.limit, radix: 16)
        var text = "PacketSize=\(size);qXfer:features:read+;QStartNoAckMode+;vContSupported+;binary-upload+"
        if usesProcesses { text += ";multiprocess+" }
        return Array(text.utf8)
    }

    /// `target.xml:0,ffb`
    private func description(_ wanted: ArraySlice<UInt8>) -> [UInt8] {
        let parts = wanted.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let range = parts.last?.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) ?? []
        guard parts.count == 2, range.count == 2, let offset = Hexadecimal.number(range[0]),
            let length = Hexadecimal.number(range[1])
        else { return Self.badArgument }
        guard let text = target.description(String(decoding: parts[0], as: UTF8.self)) else { return Self.error(0) }
        let bytes = Array(text.utf8)
        guard offset < UInt64(bytes.count) else { return Array("l".utf8) }
        // Escapes double a byte at most.
        let count = Int(min(length, UInt64(RemoteFramer.limit / 2 - 8), UInt64(bytes.count) - offset))
        let isLast = Int(offset) + count == bytes.count
        return [UInt8(ascii: isLast ? "l" : "m")] + bytes[Int(offset)..<(Int(offset) + count)]
    }

    private func threads() -> [UInt8] {
        guard !unnamed.isEmpty else { return Array("l".utf8) }
        let part = unnamed.prefix(64)
        unnamed.removeFirst(part.count)
        return Array(("m" + part.map(threadName).joined(separator: ",")).utf8)
    }

    private func threadText(_ name: ArraySlice<UInt8>) -> [UInt8] {
        guard let found = thread(name), let processor = found else { return Self.badArgument }
        let state = target.isHalted(processor) ? "halted " : "running"
        return Hexadecimal.text("CPU#\(processor) [\(state)]".utf8)
    }

    /// A line for the monitor for people; its output comes in packets of their own.
    private func monitorCommand(_ line: ArraySlice<UInt8>) -> [UInt8] {
        guard let bytes = Hexadecimal.bytes(line) else { return Self.badArgument }
        let text = String(decoding: bytes, as: UTF8.self)
        var output = Array(HMPInterpreter(machine: target.operations).run(text, &monitor).utf8)[...]
        while !output.isEmpty {
            before += RemoteFramer.packet(Array("O".utf8) + Hexadecimal.text(output.prefix(0x1000)))
            output = output.dropFirst(0x1000)
        }
        return Self.ok
    }

    /// The commands that QEMU has added, which front-ends use.
    private func own(
        _ content: [UInt8], _ step: ArraySlice<UInt8>?, _ physical: ArraySlice<UInt8>?
    ) -> [UInt8] {
        if content.elementsEqual("qqemu.sstepbits".utf8) { return Array("ENABLE=1,NOIRQ=2,NOTIMER=4".utf8) }
        if content.elementsEqual("qqemu.sstep".utf8) { return Array("0x\(String(stepBits, radix: 16))".utf8) }
        if let step {
            guard let bits = Hexadecimal.number(step), bits <= 7 else { return Self.badArgument }
            stepBits = bits
            return Self.ok
        }
        if content.elementsEqual("qqemu.PhyMemMode".utf8) { return Array((isPhysical ? "1" : "0").utf8) }
        if let physical {
            guard let flag = Hexadecimal.number(physical), flag <= 1 else { return Self.badArgument }
            isPhysical = flag == 1
            return Self.ok
        }
        if content.elementsEqual("qqemu.Supported".utf8) {
            return Array("sstepbits;sstep;PhyMemMode".utf8)
        }
        return Self.unknown
    }
}
