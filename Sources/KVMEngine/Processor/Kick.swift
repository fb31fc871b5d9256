internal import CLinux

/// The signal that fetches a thread out of KVM_RUN.
enum Kick {
    /// Installs the handler, which does nothing. The same for every machine of the process.
    static func prepare() { _ = apus_kvm_prepare_kicks() }

    /// The calling thread, cheaply.
    static var token: UInt { UInt(apus_thread_token()) }

    /// Takes the signal on the calling thread; returns the thread's number for `send`.
    static func adopt() -> Int32 {
        _ = apus_kvm_unblock_kicks()
        return apus_gettid()
    }

    /// Sends it to a thread of this process.
    static func send(_ thread: Int32) { apus_kvm_kick(thread) }
}
