internal import HostOS

/// How KVM translates guests' addresses on this host: by the processor's second set of page tables, or by shadow pages.
/// Parts that the modules do not tell are nil.
public struct TranslationSupport: Equatable, Sendable {
    /// Intel's extended page tables (SDM volume 3, 29.3).
    public var ept: Bool?
    /// AMD's nested page tables (APM volume 2, 15.25).
    public var npt: Bool?
    /// Intel's tags of processors in the TLB (SDM volume 3, 29.1).
    public var vpid: Bool?

    /// What is known.
    public init(ept: Bool? = nil, npt: Bool? = nil, vpid: Bool? = nil) {
        self.ept = ept
        self.npt = npt
        self.vpid = vpid
    }

    /// What the kernel's modules say: their parameters below `modules`.
    public static func read(modules: String = "/sys/module") -> TranslationSupport {
        func parameter(_ module: String, _ name: String) -> Bool? {
            guard let bytes = try? HostFile.contents("\(modules)/\(module)/parameters/\(name)", limit: 16) else {
                return nil
            }
            switch bytes.first {
            case UInt8(ascii: "Y"), UInt8(ascii: "1"): return true
            case UInt8(ascii: "N"), UInt8(ascii: "0"): return false
            default: return nil
            }
        }
        return TranslationSupport(
            ept: parameter("kvm_intel", "ept"), npt: parameter("kvm_amd", "npt"), vpid: parameter("kvm_intel", "vpid"))
    }

    /// Nested tables of either make are on; nil where that is not known.
    public var isNested: Bool? { ept ?? npt }
}
