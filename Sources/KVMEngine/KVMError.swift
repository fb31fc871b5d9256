public import HostOS
internal import SystemPackage

/// Why KVM cannot be used, or a machine of it cannot be made: one sentence with the way out where there is one.
public enum KVMError: Error, Sendable, CustomStringConvertible {
    /// There is no /dev/kvm.
    case noDevice(path: String, hasVirtualization: Bool, module: String)
    /// /dev/kvm is there, and nothing behind it.
    case notSupported(path: String)
    /// The device belongs to others.
    case permission(path: String, group: String?)
    /// An interface of another age.
    case version(Int32)
    /// The kernel lacks something that has been there since the given release.
    case missing(String, since: String)
    /// A system call failed.
    case failed(HostError)
    /// KVM refused a piece of guest memory.
    case slot(address: UInt64, count: UInt64, HostError)
    /// A ring of dirty pages of such a size cannot be.
    case ringSize(Int, limit: Int)
    /// More processors than KVM runs.
    case tooManyProcessors(Int, limit: Int)

    /// The sentence.
    public var description: String {
        switch self {
        case .noDevice(let path, true, let module):
            "There is no \(path): load the kernel module with 'modprobe \(module)'; where that fails, virtualization "
                + "may be switched off in the firmware"
        case .noDevice(let path, false, _):
            "There is no \(path), and the processor shows neither vmx nor svm: switch virtualization on in the firmware, "
                + "let the outer machine nest, or use the software engine ('-accel tcg')"
        case .notSupported(let path):
            "\(path) is there, but the kernel's module does not find virtualization in the processor; it may be "
                + "switched off in the firmware"
        case .permission(let path, let group?):
            "\(path) may not be opened: join the group that owns it ('usermod -aG \(group) $USER', then log in again)"
        case .permission(let path, nil): "\(path) may not be opened by this user"
        case .version(let version): "KVM speaks version \(version) of its interface; version 12 is needed"
        case .missing(let what, let since): "KVM lacks \(what), which Linux has since \(since)"
        case .failed(let error) where error.errno == .tooManyOpenFiles:
            "\(error); raise the limit of this process with 'ulimit -n'"
        case .failed(let error) where error.errno == .tooManyOpenFilesInSystem:
            "\(error); raise the host's limit, fs.file-max"
        case .failed(let error): "\(error)"
        case .slot(let address, let count, let error):
            "KVM refuses guest memory of \(count) bytes at 0x\(String(address, radix: 16)): \(error.errno)"
        case .ringSize(let entries, let limit):
            "A ring of dirty pages has a power of two from 1024 to \(limit) of entries, not \(entries)"
        case .tooManyProcessors(let count, let limit):
            "\(count) processors are more than the \(limit) that KVM runs in one machine"
        }
    }
}

extension KVMError {
    /// Runs a step whose system call says enough.
    static func wrapping<R>(_ body: () throws(HostError) -> R) throws(KVMError) -> R {
        do throws(HostError) { return try body() } catch { throw .failed(error) }
    }
}
