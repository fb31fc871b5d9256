internal import CEngine
internal import Execution
internal import Synchronization
internal import X86

// `-d`: what is decoded, translated and executed, in the shape that readers of QEMU's log know.

extension SoftwareEngine {
    /// The items of the trace have changed.
    public func traceChanged() { for processor in processors { processor.send(.traceChanged) } }
}

extension CPU {
    /// Whether any of the items is asked for.
    @inline(__always) func traces(_ items: TraceItems) -> Bool {
        isDebugging(APUS_DEBUG_TRACE) && !owner.trace.items.isDisjoint(with: items)
    }

    /// Whether changes of translations are written down.
    @inline(__always) var tracesMemory: Bool { traces(.memory) }
    /// Writes down what the guest has done wrong, with a number.
    @inline(never) func traceGuestError(_ what: String, _ number: UInt64) {
        guard traces([.guestErrors]) else { return }
        trace("cpu\(owner.index): \(what) 0x\(hexadecimal(number, 0)) at rip 0x\(hexadecimal(rip, 16))\n")
    }

    /// Takes the trace's items over: blocks made for others are dropped. Between blocks.
    func takeTraceItems() {
        let items = owner.trace.items
        setDebugging(items.isEmpty ? 0 : UInt8(APUS_DEBUG_TRACE), of: UInt8(APUS_DEBUG_TRACE))
        owner.fetcher.tracesBlocks = !items.isDisjoint(with: [.execution, .registers, .unchained])
        owner.fetcher.reset(self)
    }

    /// Writes a line.
    @inline(never) func trace(_ text: String) { owner.trace.emit(text) }

    // MARK: Blocks

    /// The guest's code and its operations, when they have been decoded.
    @inline(never) func traceDecoded(_ op: MicroOp, _ bytes: UnsafeRawBufferPointer, ops: Int) {
        let items = owner.trace.items
        let start = rip
        let size = unsafe CodeSize(rawValue: p.pointee.code_size) ?? .bits64
        if items.contains(.guestCode) {
            trace("----------------\nIN: \n" + (unsafe Self.listing(bytes, at: start, size)) + "\n")
        }
        if items.contains(.operations) {
            var text = "OP:\n"
            for index in 0..<ops {
                guard let each = unsafe op.op.map({ unsafe $0 + index }) else { break }
                text += unsafe Self.line(each.pointee, page: start & ~0xfff)
            }
            trace(text + "\n")
        }
    }

    /// Host code of a block.
    @inline(never) func traceTranslated(_ bytes: UnsafeRawBufferPointer, at address: UInt64) {
        guard owner.trace.items.contains(.hostCode) else { return }
        trace(unsafe "OUT: [size=\(bytes.count)]\n" + Self.listing(bytes, at: address, .bits64) + "\n")
    }

    /// Instructions with their addresses and bytes.
    static func listing(_ bytes: UnsafeRawBufferPointer, at address: UInt64, _ size: CodeSize) -> String {
        var text = ""
        var position = 0
        while position < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<min(bytes.count, position + 15)])
            let place = address &+ UInt64(position)
            var length = 1
            var words = "(bad)"
            if let instruction = unsafe try? Decoder.decode(rest, code: size) {
                length = Int(instruction.length)
                words = Disassembler.format(instruction, address: place, code: size)
            }
            let codes = unsafe rest.prefix(length).map { hexadecimal(UInt64($0), 2) }.joined(separator: " ")
            let padding = String(repeating: " ", count: max(0, 24 - codes.utf8.count))
            text += "0x\(hexadecimal(place, 16)):  \(codes)\(padding) \(words)\n"
            position += length
        }
        return text
    }

    private static func line(_ op: apus_op, page: UInt64) -> String {
        let handler = unsafe UInt64(UInt(bitPattern: unsafeBitCast(op.handler, to: UnsafeRawPointer.self)))
        var text = " ---- \(hexadecimal(page &+ UInt64(op.offset), 16))+\(op.length) handler=\(hexadecimal(handler, 0))"
        text += " dst=\(op.dst) src=\(op.src) imm=\(hexadecimal(op.imm, 0)) extra=\(op.extra)"
        return text + " [\(op.base)+\(op.index)<<\(op.scale & 3)+\(op.disp)] segment=\(op.segment)\n"
    }

    // MARK: Execution

    /// An event that is about to be delivered.
    @inline(never) func traceEvent(_ vector: UInt8, _ error: UInt32?, _ source: EventSource) {
        let items = owner.trace.items
        if source == .external && !items.isDisjoint(with: [.interrupts]) {
            trace("Servicing hardware INT=0x\(hexadecimal(UInt64(vector), 2))\n")
        }
        guard items.contains(.interrupts) else { return }
        let number = unsafe p.pointee.exceptions &+ p.pointee.interrupts
        let text = String(number)
        var line = String(repeating: " ", count: max(0, 6 - text.utf8.count)) + text
        line += ": v=\(hexadecimal(UInt64(vector), 2)) e=\(hexadecimal(UInt64(error ?? 0), 4))"
        line +=
            " i=\(source == .software ? 1 : 0) cpl=\(cpl) IP=\(hexadecimal(UInt64(segment(APUS_SEG_CS).selector), 4)):"
        line += "\(hexadecimal(rip, 16)) pc=\(hexadecimal(linearOfRIP, 16))"
        line += " SP=\(hexadecimal(UInt64(segment(APUS_SEG_SS).selector), 4)):\(hexadecimal(rsp, 16))"
        line +=
            vector == Vector.page
            ? " CR2=\(unsafe hexadecimal(p.pointee.fault_address, 16))\n"
            : " env->regs[R_EAX]=\(hexadecimal(rax, 16))\n"
        trace(line + registerText(floating: items.contains(.floatingPoint)))
    }

    /// A block that is about to be executed.
    @inline(never) func traceBlock(_ op: MicroOp) {
        let items = owner.trace.items
        let place = ripOf(op)
        if items.contains(.execution) {
            let base = code64 ? 0 : segment(APUS_SEG_CS).base
            let key = unsafe p.pointee.jump_key & 0xffff
            trace(
                "Trace \(owner.index): 0x\(hexadecimal(op.pointer, 0)) [\(hexadecimal(base, 16))/"
                    + "\(hexadecimal(base &+ place, 16))/\(hexadecimal(key, 8))/00000000] \n")
        }
        if items.contains(.registers) {
            let saved = rip
            rip = place
            trace(registerText(floating: items.contains(.floatingPoint)))
            rip = saved
        }
    }

    /// The registers in QEMU's layout.
    func registerText(floating: Bool) -> String {
        let wide = longMode
        func number(_ value: UInt64) -> String { hexadecimal(wide ? value : value & 0xffff_ffff, wide ? 16 : 8) }
        let names = ["AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP"]
        let order = [0, 3, 1, 2, 6, 7, 5, 4]
        var text = ""
        for place in 0..<8 {
            text += (wide ? "R" : "E") + names[place] + "=" + number(gpr(order[place])) + (place % 4 == 3 ? "\n" : " ")
        }
        if wide {
            for place in 8..<16 {
                text += (place < 10 ? "R\(place) =" : "R\(place)=") + number(gpr(place)) + (place % 4 == 3 ? "\n" : " ")
            }
        }
        let flags = rflags
        let letters: [(UInt64, String)] = [(10, "D"), (11, "O"), (7, "S"), (6, "Z"), (4, "A"), (2, "P"), (0, "C")]
        text += (wide ? "RIP=" : "EIP=") + number(rip) + (wide ? " RFL=" : " EFL=") + hexadecimal(flags, 8)
        text += " [" + letters.map { flags >> $0.0 & 1 != 0 ? $0.1 : "-" }.joined() + "] CPL=\(cpl)"
        text += unsafe " II=\(p.pointee.s.interrupt_shadow != 0 ? 1 : 0) A20=1 SMM=\(isInManagement ? 1 : 0) HLT=\(p.pointee.s.halted)\n"
        let segments: [(String, Int32)] = [
            ("ES ", APUS_SEG_ES), ("CS ", APUS_SEG_CS), ("SS ", APUS_SEG_SS), ("DS ", APUS_SEG_DS),
            ("FS ", APUS_SEG_FS), ("GS ", APUS_SEG_GS), ("LDT", APUS_SEG_LDTR), ("TR ", APUS_SEG_TR),
        ]
        for (name, place) in segments {
            let s = segment(place)
            let flags = (UInt64(s.attributes) & 0xff) << 8 | (UInt64(s.attributes) & 0xf00) << 12
            text += "\(name)=\(hexadecimal(UInt64(s.selector), 4)) \(number(s.base)) \(hexadecimal(UInt64(s.limit), 8))"
            text += " \(hexadecimal(flags, 8))\n"
        }
        let s = unsafe p.pointee.s
        text += "GDT=     \(number(s.gdtr.base)) \(hexadecimal(UInt64(s.gdtr.limit), 8))\n"
        text += "IDT=     \(number(s.idtr.base)) \(hexadecimal(UInt64(s.idtr.limit), 8))\n"
        text += "CR0=\(hexadecimal(s.cr0, 8)) CR2=\(number(s.cr2)) CR3=\(number(s.cr3)) CR4=\(hexadecimal(s.cr4, 8))\n"
        text += "EFER=\(hexadecimal(s.efer, 16))\n"
        guard floating else { return text }
        for register in 0..<16 {
            let v = vector(VectorLayout.register(UInt8(register)))
            text += "XMM" + (register < 10 ? "0" : "") + "\(register)=" + Self.text(v)
            text += register % 2 == 1 ? "\n" : " "
        }
        return text
    }

    private static func text<T: BitwiseCopyable>(_ vector: T) -> String {
        // SAFETY: the bytes are copied inside the closure.
        unsafe withUnsafeBytes(of: vector) { bytes in
            unsafe bytes.prefix(16).reversed().map { hexadecimal(UInt64($0), 2) }.joined()
        }
    }
}

/// At least so many digits.
func hexadecimal(_ value: UInt64, _ width: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}

/// The first op of a block while blocks are traced.
let traceBlock: apus_handler = { cpu, op in
    cpu.traceBlock(op)
    return cpu.countsInstructions ? cpu.charge(op) : op.next
}
