import CEngine
import Glibc
import Synchronization

/// Runs user code on the host's processor itself, in a forked child that every exception leads back into a signal
/// handler of: the handler notes the outcome in shared memory, loads the next case's registers into the frame it
/// returns to, and returns. The child executes nothing else.
@safe final class NativeOracle: Sendable {
    static let batch = 64
    /// One oracle at a time: code and data lie at fixed addresses.
    private static let turn = Mutex(())

    // Shared memory, far from all that 32-bit addresses reach.
    private static let shared: UInt = 0x5_0000_0000
    private static let inputs = 0x1000
    private static let inputSize = 0x3000
    private static let inputCode = 0x1000
    private static let image = 0x20_0000
    private static let outputs = 0x21_0000
    private static let outputSize = 0x3000
    private static let outputData = 0x1000
    private static let system = 0x40_0000
    private static let stack = 0x41_0000
    private static let sharedCount = 0x44_0000
    /// Microseconds of processor time after which the case that is at work has no outcome.
    private static let limit = 50_000

    private static func armLimit() {
        var timer = itimerval(
            it_interval: timeval(tv_sec: 0, tv_usec: 0), it_value: timeval(tv_sec: 0, tv_usec: limit))
        unsafe setitimer(__itimer_which_t(ITIMER_VIRTUAL.rawValue), &timer, nil)
    }

    /// The one that there is, because its memory lies at fixed addresses.
    static let single = Result { try NativeOracle() }

    private init() throws {
        try Self.map(Self.shared, Self.sharedCount)
        try Self.map(UInt(UserCase.codeBase), UserCase.codeCount)
        try Self.map(UInt(UserCase.dataBase), UserCase.dataCount)
        // A system call by its number, first argument only: fork, that the C library's hooks have no part in.
        // Then the first exception, after data segments that 32-bit code can use.
        let code: [UInt8] = [
            0x48, 0x89, 0xf8, 0x0f, 0x05, 0xc3, 0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0xcc,
        ]
        for (index, byte) in code.enumerated() { Self.put(byte, Self.system + index) }
    }

    private struct MappingFailed: Error { let address: UInt }

    private static func map(_ address: UInt, _ count: Int) throws {
        let flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED
        let made = unsafe mmap(
            UnsafeMutableRawPointer(bitPattern: address), count, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0)
        guard unsafe made == UnsafeMutableRawPointer(bitPattern: address) else { throw MappingFailed(address: address) }
    }

    private static func base(_ offset: Int) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(bitPattern: shared + UInt(offset)).unsafelyUnwrapped
    }
    private static func put<T: BitwiseCopyable>(_ value: T, _ offset: Int) {
        unsafe base(offset).storeBytes(of: value, as: T.self)
    }
    private static func get<T: BitwiseCopyable>(_: T.Type, _ offset: Int) -> T {
        unsafe base(offset).loadUnaligned(as: T.self)
    }

    /// Runs the cases, all with that data. An outcome is nil where the child died of the case.
    func run(_ cases: [UserCase], data: [UInt8]) -> [UserOutcome?] {
        Self.turn.withLock { _ in
            var outcomes: [UserOutcome?] = []
            while outcomes.count < cases.count {
                let part = Array(cases[outcomes.count..<min(cases.count, outcomes.count + Self.batch)])
                outcomes += runBatch(part, data: data)
            }
            return outcomes
        }
    }

    private func runBatch(_ cases: [UserCase], data: [UInt8]) -> [UserOutcome?] {
        for (index, byte) in data.enumerated() { Self.put(byte, Self.image + index) }
        for (index, item) in cases.enumerated() {
            let place = Self.inputs + index * Self.inputSize
            for number in 0..<16 { Self.put(item.gpr[number], place + number * 8) }
            Self.put(UserCase.codeBase + UInt64(item.start), place + 128)
            Self.put(item.flags | 0x202, place + 136)
            Self.put(UInt64(item.isNarrow ? 0x23 : 0x33), place + 144)
            unsafe memset(Self.base(place + Self.inputCode), 0xcc, UserCase.codeCount)
            for (offset, byte) in item.code.enumerated() { Self.put(byte, place + Self.inputCode + item.start + offset) }
        }
        Self.put(Int64(-1), 0)
        Self.put(Int64(cases.count), 8)
        let fork = unsafe unsafeBitCast(Self.base(Self.system), to: (@convention(c) (Int) -> Int32).self)
        let child = fork(57)
        if child == 0 { Self.execute() }
        var status: Int32 = 0
        // A child that is left behind would keep whoever waits for any child, as tests of exits do, from all others.
        while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
        let reached = Int(Self.get(Int64.self, 0))
        var outcomes: [UserOutcome?] = (0..<min(reached, cases.count)).map { Self.outcome($0) }
        // The child died of this one.
        if outcomes.count < cases.count { outcomes.append(nil) }
        return outcomes
    }

    private static func outcome(_ index: Int) -> UserOutcome {
        let place = outputs + index * outputSize
        var result = UserOutcome()
        for number in 0..<16 { result.gpr[number] = get(UInt64.self, place + number * 8) }
        result.rip = get(UInt64.self, place + 128)
        result.flags = get(UInt64.self, place + 136)
        result.vector = get(UInt64.self, place + 144)
        result.error = get(UInt64.self, place + 152)
        result.address = get(UInt64.self, place + 160)
        result.data = (0..<UserCase.dataCount).map { get(UInt8.self, place + outputData + $0) }
        return result
    }

    /// The child: takes all signals of exceptions and raises the first.
    private static func execute() -> Never {
        var alternate = unsafe stack_t()
        unsafe alternate.ss_sp = base(stack)
        unsafe alternate.ss_size = 0x2_0000
        unsafe sigaltstack(&alternate, nil)
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_sigaction = { signal, _, context in
            unsafe NativeOracle.handle(signal, context.unsafelyUnwrapped)
        }
        action.sa_flags = SA_SIGINFO | SA_ONSTACK
        unsafe sigfillset(&action.sa_mask)
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGVTALRM] { unsafe sigaction(signal, &action, nil) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigprocmask(SIG_SETMASK, &none, nil)
        armLimit()
        unsafe unsafeBitCast(base(system + 6), to: (@convention(c) () -> Void).self)()
        _exit(2)
    }

    /// Where `ucontext_t` keeps R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, by register number.
    @inline(__always) private static func slot(_ number: Int) -> Int {
        if number >= 8 { return 40 + (number - 8) * 8 }
        // A table of digits: AX 13, CX 14, DX 12, BX 11, SP 15, BP 10, SI 9, DI 8.
        return 40 + ((0x89a_fbce_d >> (number * 4)) & 15) * 8
    }

    private static func handle(_ signal: Int32, _ context: UnsafeMutableRawPointer) {
        let index = Int(get(Int64.self, 0))
        if index >= 0 {
            let place = outputs + index * outputSize
            for number in 0..<16 {
                unsafe put(context.load(fromByteOffset: slot(number), as: UInt64.self), place + number * 8)
            }
            unsafe put(context.load(fromByteOffset: 40 + 16 * 8, as: UInt64.self), place + 128)
            unsafe put(context.load(fromByteOffset: 40 + 17 * 8, as: UInt64.self), place + 136)
            let vector = unsafe context.load(fromByteOffset: 40 + 20 * 8, as: UInt64.self)
            put(signal == SIGVTALRM ? 255 : vector, place + 144)
            unsafe put(context.load(fromByteOffset: 40 + 19 * 8, as: UInt64.self), place + 152)
            unsafe put(vector == 14 ? context.load(fromByteOffset: 40 + 22 * 8, as: UInt64.self) : 0, place + 160)
            unsafe memcpy(
                base(place + outputData), UnsafeRawPointer(bitPattern: UInt(UserCase.dataBase)).unsafelyUnwrapped,
                UserCase.dataCount)
        }
        put(Int64(index + 1), 0)
        if index + 1 == Int(get(Int64.self, 8)) { _exit(0) }
        let place = inputs + (index + 1) * inputSize
        unsafe memcpy(
            UnsafeMutableRawPointer(bitPattern: UInt(UserCase.dataBase)).unsafelyUnwrapped, base(image),
            UserCase.dataCount)
        unsafe memcpy(
            UnsafeMutableRawPointer(bitPattern: UInt(UserCase.codeBase)).unsafelyUnwrapped, base(place + inputCode),
            UserCase.codeCount)
        for number in 0..<16 {
            unsafe context.storeBytes(of: get(UInt64.self, place + number * 8), toByteOffset: slot(number), as: UInt64.self)
        }
        unsafe context.storeBytes(of: get(UInt64.self, place + 128), toByteOffset: 40 + 16 * 8, as: UInt64.self)
        unsafe context.storeBytes(of: get(UInt64.self, place + 136), toByteOffset: 40 + 17 * 8, as: UInt64.self)
        unsafe context.storeBytes(of: get(UInt16.self, place + 144), toByteOffset: 40 + 18 * 8, as: UInt16.self)
        if signal == SIGVTALRM { armLimit() }
    }
}
