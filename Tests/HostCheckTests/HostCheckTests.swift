import HostCheck
import Testing

@Suite("Checks of a host")
struct HostCheckTests {
    /// A host on which everything is as it should be.
    private func goodHost() -> HostSnapshot {
        var host = HostSnapshot()
        host.processorFlags = ["lm", "vmx", "nx"]
        host.kvm = .usable
        host.kvmTrial = 3_000
        host.softwareTrial = 30_000
        host.modules = ["kvm", "kvm_intel"]
        host.kernelRelease = "6.1.0-18-amd64"
        host.availableMemory = 8 << 30
        host.freeDisk = 100 << 30
        host.iommuGroups = 12
        host.controllers = ["cpu", "cpuset", "memory", "io", "pids"]
        host.hasTun = true
        host.hasVhostNet = true
        host.userNamespaces = 1000
        host.mergesPages = true
        host.hugePages = "madvise"
        return host
    }

    private func result(_ host: HostSnapshot, _ name: String) -> HostCheck.Result? {
        HostCheck.all(host).first { $0.name.contains(name) }?.result
    }

    @Test("A good host passes them all")
    func good() {
        let checks = HostCheck.all(goodHost())
        #expect(checks.count > 15)
        #expect(checks.filter { $0.result != .pass } == [])
        #expect(HostCheckProgram.text(checks, isQuiet: true) == "")
    }

    @Test("A host with nothing fails, and every line says what to do")
    func nothing() {
        let checks = HostCheck.all(HostSnapshot())
        #expect(checks.allSatisfy { $0.result != .pass })
        #expect(checks.contains { $0.result.word == "FAIL" })
        for check in checks where !check.name.contains("/dev/kvm exists") { #expect(!check.result.advice.isEmpty) }
    }

    @Test("A device that emulates is slow")
    func slow() {
        var host = goodHost()
        host.kvmTrial = 3_800_000
        guard case .warn(let advice)? = result(host, "is fast") else {
            Issue.record("no warning")
            return
        }
        #expect(advice.contains("3800 µs") && advice.contains("-accel tcg"))
        host.kvmTrial = nil
        #expect(result(host, "is fast")?.word == "WARN")
    }

    @Test("Nested paging and tags of the TLB are told where they are known")
    func translation() {
        #expect(result(goodHost(), "nested page tables") == nil)
        #expect(result(goodHost(), "tagged by processor") == nil)
        var host = goodHost()
        host.nestedPaging = true
        host.taggedTLB = true
        #expect(result(host, "nested page tables") == .pass)
        #expect(result(host, "tagged by processor") == .pass)
        host.nestedPaging = false
        host.taggedTLB = false
        #expect(result(host, "nested page tables")?.advice.contains("ept=1") == true)
        #expect(result(host, "tagged by processor")?.advice.contains("vpid=1") == true)
    }

    @Test("A module without a device means that the firmware has switched virtualization off")
    func firmware() {
        #expect(result(goodHost(), "in the firmware") == .pass)
        var host = goodHost()
        host.kvm = .missing("There is no /dev/kvm")
        #expect(result(host, "in the firmware")?.word == "FAIL")
        host.modules = []
        #expect(result(host, "in the firmware") == nil)
    }

    @Test("A device that may not be opened fails with the reason, and is not called slow")
    func permission() {
        var host = goodHost()
        host.kvm = .unusable("join the group kvm")
        #expect(result(host, "is accessible") == .fail("join the group kvm"))
        #expect(result(host, "is fast") == nil)
    }

    @Test(
        "Kernels by age",
        arguments: [
            ("4.12.9", "FAIL"), ("4.13.0", "PASS"), ("6.18.44-x", "PASS"), ("2.6.32-431.el6", "FAIL"), ("", "FAIL"),
        ])
    func kernel(release: String, word: String) {
        var host = goodHost()
        host.kernelRelease = release
        #expect(result(host, "a kernel of")?.word == word)
    }

    @Test("Lines are in virt-host-validate's columns, and JSON has the same")
    func forms() {
        var host = goodHost()
        host.hasTun = false
        let checks = HostCheck.all(host)
        let lines = HostCheckProgram.text(checks).split(separator: "\n")
        #expect(lines.first?.hasPrefix("  QEMU: Checking for hardware virtualization  ") == true)
        #expect(Set(lines.map { $0.prefix { $0 != ":" }.count }) == [6])
        #expect(lines.allSatisfy { Array($0)[77] == ":" && Array($0)[78] == " " })
        #expect(lines.contains { $0.contains("/dev/net/tun") && $0.contains(": WARN (") })
        #expect(HostCheckProgram.json(checks).contains("\"result\": \"WARN\""))
        host.processorName = "A \"quick\" processor"
        let told = HostCheckProgram.json(checks, of: host)
        #expect(told.contains(#""processor": "A \"quick\" processor""#) && told.contains("6.1.0-18-amd64"))
    }

    @Test("This host can be looked at")
    func thisHost() {
        let host = HostSnapshot.read()
        #expect(!host.kernelRelease.isEmpty)
        #expect(!host.processorName.isEmpty)
        #expect(host.availableMemory > 0)
        #expect(host.processorFlags.contains("lm"))
    }

    @Test("Unknown arguments are refused")
    func arguments() {
        #expect(HostCheckProgram.run(["--nonsense"]) == 1)
        #expect(HostCheckProgram.run(["--help"]) == 0)
    }
}
