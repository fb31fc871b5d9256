/// Writes the few host instructions that a stub needs around the guest's own. RDI is the `apus_vcpu`, RSI the memory
/// operand; only registers that the System V ABI lets a function destroy are used.
struct StubAssembler {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(160) }

    mutating func byte(_ value: UInt8) { bytes.append(value) }
    mutating func emit(_ values: UInt8...) { bytes.append(contentsOf: values) }
    mutating func word32(_ value: Int) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    /// ModRM and displacement of the state at a byte offset: [rdi + offset].
    private mutating func state(_ register: UInt8, _ offset: Int) {
        byte(0x80 | (register & 7) << 3 | 7)
        word32(offset)
    }

    // MARK: Guest registers

    /// MOVUPS of an XMM register from or to its place.
    mutating func moveXMM(_ register: UInt8, store: Bool) {
        if register >= 8 { byte(0x44) }
        emit(0x0f, store ? 0x11 : 0x10)
        state(register, VectorLayout.register(register))
    }
    /// VMOVUPS of a YMM register.
    mutating func moveYMM(_ register: UInt8, store: Bool) {
        emit(0xc5, register >= 8 ? 0x7c : 0xfc, store ? 0x11 : 0x10)
        state(register, VectorLayout.register(register))
    }
    /// MOVQ of an MMX register. A store also sets the exponent of the x87 register, as MMX writes do (SDM volume 1,
    /// 9.6.2).
    mutating func moveMMX(_ register: UInt8, store: Bool) {
        let place = VectorLayout.stack + 16 * Int(register & 7)
        emit(0x0f, store ? 0x7f : 0x6f)
        state(register, place)
        if store {
            emit(0x66, 0xc7)
            state(0, place + 8)
            emit(0xff, 0xff)
        }
    }
    /// MOV of a whole general register between its place and host register `host`.
    mutating func moveGeneral(host: UInt8, guest: UInt8, store: Bool) {
        emit(0x48 | (host & 8) >> 1, store ? 0x89 : 0x8b)
        state(host, 8 * Int(guest & 15))
    }

    // MARK: Flags, in the form of `arith`

    /// movzx eax, arith; add al, 0x7f; sahf.
    mutating func loadFlags() {
        emit(0x0f, 0xb7)
        state(0, VectorLayout.arith)
        emit(0x04, 0x7f, 0x9e)
    }
    /// lahf; seto al.
    mutating func captureFlags() { emit(0x9f, 0x0f, 0x90, 0xc0) }
    /// mov arith, ax.
    mutating func storeCapturedFlags() {
        emit(0x66, 0x89)
        state(0, VectorLayout.arith)
    }
    /// movzx r11d, ax, and the store from there.
    mutating func keepCapturedFlags() { emit(0x44, 0x0f, 0xb7, 0xd8) }
    mutating func storeKeptFlags() {
        emit(0x66, 0x44, 0x89)
        state(3, VectorLayout.arith)
    }

    // MARK: MXCSR

    /// Loads the guest's MXCSR with all exceptions masked and no flag set. Where the guest does not mask underflow,
    /// results are flushed to zero: then the flag tells of every tiny result, exact ones too, and the result is not
    /// used.
    mutating func enterMXCSR() {
        emit(0x8b)  // mov eax, mxcsr
        state(0, VectorLayout.mxcsr)
        emit(0x89, 0xc1, 0xf7, 0xd1)  // mov ecx, eax; not ecx
        emit(0x81, 0xe1)  // and ecx, UM
        word32(0x800)
        emit(0xc1, 0xe1, 0x04)  // shl ecx, 4
        emit(0x25)  // and eax, all but flags
        word32(0xffc0)
        emit(0x0d)  // or eax, masks
        word32(0x1f80)
        emit(0x09, 0xc8, 0x89)  // or eax, ecx; mov temporary, eax
        state(0, VectorLayout.temporaryMXCSR)
        emit(0x0f, 0xae)  // ldmxcsr temporary
        state(2, VectorLayout.temporaryMXCSR)
    }
    /// Leaves the flags raised in EAX, the host's MXCSR in force, and goes to the returned place (a byte offset to be
    /// given to `land`) where the guest does not mask one of them; else adds them to the guest's.
    mutating func leaveMXCSR() -> (fail: Int, constant: Int) {
        emit(0x0f, 0xae)  // stmxcsr temporary
        state(3, VectorLayout.temporaryMXCSR)
        let constant = loadHostMXCSR()
        emit(0x8b)  // mov eax, temporary
        state(0, VectorLayout.temporaryMXCSR)
        emit(0x83, 0xe0, 0x3f)  // and eax, flags
        emit(0x8b)  // mov ecx, mxcsr
        state(1, VectorLayout.mxcsr)
        emit(0xf7, 0xd1)  // not ecx
        emit(0x89, 0xc2, 0xc1, 0xe2, 0x07)  // mov edx, eax; shl edx, 7
        emit(0x21, 0xca, 0x0f, 0x85)  // and edx, ecx; jnz fail
        word32(0)
        let fail = bytes.count
        emit(0x09)  // or mxcsr, eax
        state(0, VectorLayout.mxcsr)
        return (fail, constant)
    }
    /// ldmxcsr of a constant that `placeHostMXCSR` puts behind the stub.
    mutating func loadHostMXCSR() -> Int {
        emit(0x0f, 0xae, 0x15)
        word32(0)
        return bytes.count
    }
    mutating func placeHostMXCSR(for constant: Int) {
        land(constant)
        word32(0x1f80)
    }
    /// Lets the 32-bit relative address that ends at `from` lead here.
    mutating func land(_ from: Int) {
        let distance = bytes.count - from
        for index in 0..<4 { bytes[from - 4 + index] = UInt8(truncatingIfNeeded: distance >> (index * 8)) }
    }

    // MARK: x87

    /// fnstsw ax; movzx eax, ax; ret.
    mutating func returnX87Status() { emit(0xdf, 0xe0, 0x0f, 0xb7, 0xc0, 0xc3) }

    /// xor eax, eax; ret.
    mutating func returnZero() { emit(0x31, 0xc0, 0xc3) }
}
