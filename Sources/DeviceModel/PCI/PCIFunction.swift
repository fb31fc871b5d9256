public import GuestMemory
import Synchronization

/// What a device hears from its function. Called with no lock of the function held, on the thread of the access.
public protocol PCIFunctionDelegate: AnyObject, Sendable {
    /// After a driver's write to configuration space.
    func configurationWritten(_ function: PCIFunction, offset: Int, size: Int)
    /// Before a driver's read: a value that replaces the stored one, or nil.
    func configurationRead(_ function: PCIFunction, offset: Int, size: Int) -> UInt32?
}

extension PCIFunctionDelegate {
    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {}
    public func configurationRead(_ function: PCIFunction, offset: Int, size: Int) -> UInt32? { nil }
}

/// What functions of a bus reach: the two address spaces, and who takes messages.
public struct PCISpaces: Sendable {
    /// I/O ports.
    public var io: Bus
    /// Device memory.
    public var memory: Bus
    /// Guest memory, for windows that are RAM or ROM; nil where there is none.
    public var ram: AddressSpace?
    /// Takes message-signalled interrupts; nil where the machine has none.
    public var msi: (any MSISink)?
    /// Rings eventfds at writes of the guest; nil where the engine cannot.
    public var doorbells: (any DoorbellHost)?

    /// The spaces of a machine.
    public init(
        io: Bus, memory: Bus, ram: AddressSpace? = nil, msi: (any MSISink)? = nil,
        doorbells: (any DoorbellHost)? = nil
    ) {
        self.io = io
        self.memory = memory
        self.ram = ram
        self.msi = msi
        self.doorbells = doorbells
    }
}

/// One function of a PCI device: its configuration space, windows and interrupts. PCI Local Bus 3.0, chapter 6.
///
/// A device makes one, adds windows and capabilities, and a `PCIBus` takes it. Any thread; its lock is held for no
/// call to a device, an interrupt controller or the map of memory.
public final class PCIFunction: Sendable {
    /// What is mapped where, for one window.
    struct Mapped: Sendable {
        var base: UInt64
        var bus: [Bus.RangeID] = []
        var ram: [AddressSpace.RangeID] = []
        var doorbells: [Doorbell] = []
        /// The version of the function's list of doorbells that these are of.
        var version = 0
    }

    struct State {
        var space: PCIConfigurationSpace
        var bars: [PCIBAR] = []
        var mapped: [Mapped?] = []
        var spaces: PCISpaces?
        var doorbells: [PCIDoorbell] = []
        var doorbellVersion = 0
        var isMapping = false
        var mustMap = false
        var msi: PCIMSI?
        var msix: PCIMSIX?
        // INTx: the device's wish, what the bus was last told, and whom to tell.
        var pinLevel = false
        var drivenLevel = false
        var isDriving = false
        var pinOutput: (@Sendable (_ pin: Int, _ level: Bool) -> Void)?
        weak var delegate: (any PCIFunctionDelegate)?
        /// Slots from the root bus down: `1c.0/00.0`. Nil where no bus has it.
        var place: String?
    }
    let state: Mutex<State>

    /// What the function says it is.
    public let identity: PCIIdentity
    /// True for a function with 4096 bytes of configuration space.
    public let isExpress: Bool
    /// True for a bridge's header (type 1).
    public let isBridge: Bool

    /// A function without windows. `interruptPin` is 1 to 4 for INTA# to INTD#, 0 for none.
    public init(
        _ identity: PCIIdentity, interruptPin: UInt8 = 0, isBridge: Bool = false, isExpress: Bool = false
    ) {
        self.identity = identity
        self.isExpress = isExpress
        self.isBridge = isBridge
        var space = PCIConfigurationSpace(isExpress: isExpress)
        space.initialise(PCIRegister.vendorID, identity.vendorID)
        space.initialise(PCIRegister.deviceID, identity.deviceID)
        space.initialise(PCIRegister.revision, UInt32(identity.revision) | identity.classCode << 8)
        space.initialise(PCIRegister.headerType, UInt8(isBridge ? 1 : 0))
        space.initialise(PCIRegister.interruptPin, min(interruptPin, 4))
        space.allowWrites(PCIRegister.command, mask: PCICommand.writable)
        space.allowClearing(PCIRegister.status, mask: PCIStatus.errors)
        space.allowWrites(PCIRegister.cacheLineSize, mask: UInt8.max)
        space.allowWrites(PCIRegister.interruptLine, mask: UInt8.max)
        if isBridge {
            Self.makeBridge(&space)
        } else {
            space.initialise(PCIRegister.subsystemVendorID, identity.subsystemVendorID)
            space.initialise(PCIRegister.subsystemID, identity.subsystemID)
        }
        state = Mutex(State(space: space))
    }

    /// The registers of a header of type 1: bus numbers and windows. PCI-to-PCI Bridge 1.2, 3.2.5.
    private static func makeBridge(_ space: inout PCIConfigurationSpace) {
        space.allowWrites(PCIRegister.primaryBus, mask: UInt32.max)
        space.initialise(PCIRegister.ioBase, UInt16(0x0101))
        space.allowWrites(PCIRegister.ioBase, mask: UInt16(0xF0F0))
        space.allowClearing(PCIRegister.secondaryStatus, mask: PCIStatus.errors)
        space.allowWrites(PCIRegister.memoryBase, mask: UInt32(0xFFF0_FFF0))
        space.initialise(PCIRegister.prefetchableBase, UInt32(0x0001_0001))
        space.allowWrites(PCIRegister.prefetchableBase, mask: UInt32(0xFFF0_FFF0))
        space.allowWrites(0x28, mask: UInt64.max)
        space.allowWrites(0x30, mask: UInt32.max)
        space.allowWrites(PCIRegister.bridgeControl, mask: UInt16(0x0FFF))
    }

    // MARK: Making

    /// Who hears of configuration accesses. Held weakly.
    public func setDelegate(_ delegate: (any PCIFunctionDelegate)?) { state.withLock { $0.delegate = delegate } }

    /// Adds a window at register `index` (0 to 5; 0 and 1 for a bridge; not used for the ROM). `size` is rounded up to
    /// a power of two, at least 4 for I/O, 16 for memory and 2048 for ROM.
    public func addBAR(_ index: Int, _ kind: PCIBAR.Kind, size: UInt64, regions: [PCIBAR.Region]) {
        let minimum: UInt64 = kind == .io ? 4 : kind == .rom ? 2048 : 16
        var rounded = minimum
        while rounded < size { rounded <<= 1 }
        var register = PCIRegister.bar0 + index * 4
        if kind == .rom { register = isBridge ? PCIRegister.bridgeROM : PCIRegister.expansionROM }
        let bar = PCIBAR(kind: kind, size: rounded, regions: regions, register: register)
        precondition(
            kind == .rom || (index >= 0 && index + (bar.is64Bit ? 1 : 0) < (isBridge ? 2 : 6)),
            "A window's register must exist")
        state.withLock { state in
            precondition(!state.bars.contains { $0.register == register }, "A window's register is free")
            state.space.initialise(register, bar.typeBits)
            let mask = ~(rounded - 1)
            state.space.allowWrites(register, mask: UInt32(truncatingIfNeeded: mask) | (kind == .rom ? 1 : 0))
            if bar.is64Bit { state.space.allowWrites(register + 4, mask: UInt32(truncatingIfNeeded: mask >> 32)) }
            state.bars.append(bar)
            state.mapped.append(nil)
        }
    }

    /// Appends a capability with the given body (after its id and next pointer) and writable bits, and returns its
    /// offset. There is room for 192 bytes of capabilities.
    @discardableResult
    public func addCapability(_ id: UInt8, body: [UInt8], writable: [UInt8] = []) -> Int {
        state.withLock { state in
            guard let offset = state.space.addCapability(id, body: body) else {
                preconditionFailure("The capabilities of a function fit in 192 bytes")
            }
            for (index, mask) in writable.enumerated() { state.space.allowWrites(offset + 2 + index, mask: mask) }
            return offset
        }
    }

    /// Sets a register's power-on value and which of its bits drivers may change: for registers beyond the header.
    public func defineRegister<T: FixedWidthInteger>(
        _ offset: Int, value: T, writable: T = 0, clearable: T = 0
    ) {
        state.withLock { state in
            state.space.initialise(offset, value)
            state.space.allowWrites(offset, mask: writable)
            state.space.allowClearing(offset, mask: clearable)
        }
    }

    /// Changes a register from the device's side, read-only bits too.
    public func setRegister(_ offset: Int, _ value: some FixedWidthInteger & Sendable) {
        state.withLock { $0.space.set(offset, value) }
        remap()
    }

    /// Replaces the doorbells of the windows. Returns whether the engine hangs doorbells up at all.
    @discardableResult
    public func setDoorbells(_ doorbells: [PCIDoorbell]) -> Bool {
        let isPossible = state.withLock { state in
            state.doorbells = doorbells
            state.doorbellVersion += 1
            return state.spaces?.doorbells != nil
        }
        remap()
        return isPossible
    }

    /// The windows.
    public var bars: [PCIBAR] { state.withLock { $0.bars } }

    /// Where the window of register `index` is decoded now; nil where it is not.
    public func address(ofBAR index: Int) -> UInt64? {
        state.withLock { state in
            state.bars.first { $0.register == PCIRegister.bar0 + index * 4 }?.base(in: state.space)
        }
    }

    // MARK: Configuration accesses

    /// A driver's read of 1, 2 or 4 bytes.
    public func readConfiguration(_ offset: Int, size: Int) -> UInt32 {
        let (value, delegate) = state.withLock { ($0.space.read(offset, size: size), $0.delegate) }
        return delegate?.configurationRead(self, offset: offset, size: size) ?? value
    }

    /// A driver's write of 1, 2 or 4 bytes: windows move, interrupts change, and the delegate hears of it.
    public func writeConfiguration(_ offset: Int, size: Int, value: UInt32) {
        let (delegate, messages) = state.withLock { state in
            state.space.write(offset, size: size, value: value)
            return (state.delegate, Self.interruptsChanged(&state))
        }
        deliver(messages)
        remap()
        updatePin()
        delegate?.configurationWritten(self, offset: offset, size: size)
    }

    /// The command register.
    public var command: UInt16 {
        state.withLock { UInt16(truncatingIfNeeded: $0.space.read(PCIRegister.command, size: 2)) }
    }

    /// To the state after power-on: nothing decoded, no interrupts, the pin low.
    public func reset() {
        state.withLock { state in
            state.space.reset()
            state.msix?.reset()
            state.pinLevel = false
        }
        remap()
        updatePin()
    }

    // MARK: Attachment

    /// Called by the bus that takes the function.
    func attach(
        _ spaces: PCISpaces, place: String? = nil, pinOutput: @escaping @Sendable (_ pin: Int, _ level: Bool) -> Void
    ) {
        state.withLock { state in
            state.place = place
            state.spaces = spaces
            state.pinOutput = pinOutput
        }
        remap()
        updatePin()
    }

    /// Called by the bus that lets it go: windows vanish and the pin falls.
    func detach() {
        reset()
        state.withLock { state in
            state.spaces = nil
            state.pinOutput = nil
        }
    }

    /// Tells software that the slot has more than function 0 (bit 7 of the header type).
    func markMultiFunction() {
        state.withLock { $0.space.initialise(PCIRegister.headerType, UInt8(isBridge ? 0x81 : 0x80)) }
    }
}

extension PCIFunction {
    /// The stored bytes, without asking the delegate.
    public func readRaw(_ offset: Int, size: Int) -> UInt32 {
        state.withLock { $0.space.read(offset, size: size) }
    }
}
