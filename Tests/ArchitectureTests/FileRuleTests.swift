import Testing

@Suite("Rules for every file of Sources")
struct FileRuleTests {
    /// Targets that may use Foundation and `async`: the management floor and those above it.
    static let managementTargets: Set<String> = ["RPCWire", "Daemon", "LibvirtClient", "VirshTool", "apus"]

    /// Files that are longer than the rule allows, each with its reason.
    static let longFiles: [String: String] = [:]

    /// Folders in which one file gives the reason for the unsafe accessors that all the others use.
    static let sharedSafety: [String: String] = [
        "Sources/TranslatorEngine/": "Sources/TranslatorEngine/State/CPU.swift"
    ]

    /// Files from before the rule. None may be added; one that gets its reason leaves the list.
    static let withoutReason: Set<String> = [
        "Sources/BlockImage/BlockBackend.swift",
        "Sources/BlockImage/QCow2/QCow2Node+Write.swift",
        "Sources/CharacterBackend/Ports/DescriptorPorts.swift",
        "Sources/CharacterBackend/Streams/ByteRing.swift",
        "Sources/CharacterBackend/Streams/OutputQueue.swift",
        "Sources/Devices/Virtio/Block/VirtioBlock.swift",
        "Sources/Devices/Virtio/Net/ReceiveFilter.swift",
        "Sources/Devices/Virtio/Net/VirtioNet+Receive.swift",
        "Sources/Devices/Virtio/Net/VirtioNet.swift",
        "Sources/HostOS/EventSource.swift",
        "Sources/HostOS/EventTimer.swift",
    ]

    @Test("No Foundation, Dispatch or async below the management floor")
    func noFoundation() {
        let modules: Set<String> = ["Foundation", "FoundationEssentials", "Dispatch"]
        let keywords: Set<Substring> = ["async", "await", "actor"]
        for file in Repository.swiftSources where !Self.managementTargets.contains(file.target) {
            let code = SwiftText.code(of: file.text)
            #expect(modules.isDisjoint(with: SwiftText.imports(of: code)), "\(file) imports a module of a higher floor")
            #expect(keywords.isDisjoint(with: SwiftText.words(of: code)), "\(file) uses Swift's concurrency")
        }
    }

    @Test("No file has over 400 lines")
    func filesAreShort() {
        for file in Repository.sources where Self.longFiles[file.path] == nil {
            #expect(file.lineCount <= 400, "\(file) has \(file.lineCount) lines")
        }
        let paths = Set(Repository.sources.map(\.path))
        for path in Self.longFiles.keys {
            #expect(paths.contains(path), "\(path) is excepted but not there")
        }
    }

    @Test("A file with unsafe code says why that code is safe")
    func unsafeCodeHasAReason() {
        let reasoned = Set(Repository.swiftSources.filter { $0.text.contains("SAFETY") }.map(\.path))
        for file in Repository.swiftSources where !reasoned.contains(file.path) {
            guard SwiftText.hasUnsafeExpression(SwiftText.code(of: file.text)) else { continue }
            guard !Self.withoutReason.contains(file.path) else { continue }
            let shared = Self.sharedSafety.first { file.path.hasPrefix($0.key) }?.value
            #expect(shared.map(reasoned.contains) ?? false, "\(file) has unsafe code and no SAFETY comment")
        }
    }

    @Test("C holds no logic: headers, module maps and assembly only")
    func noCSources() {
        let allowed: Set<Substring> = ["swift", "h", "S", "modulemap"]
        for file in Repository.sources {
            let suffix = file.path.split(separator: ".").last ?? ""
            #expect(allowed.contains(suffix), "\(file) is neither Swift nor a header")
        }
    }
}

@Suite("Telling Swift code from the rest")
struct SwiftTextTests {
    @Test("Comments and strings are no code")
    func commentsAndStrings() {
        let text = #"""
            let a = "unsafe \" unsafe" // unsafe
            /* unsafe /* unsafe */ unsafe */ let b = unsafe p
            """#
        let words = SwiftText.words(of: SwiftText.code(of: text))
        #expect(words == ["let", "a", "let", "b", "unsafe", "p"])
    }

    @Test("Strings of several lines are no code")
    func longStrings() {
        let text = "let a = \"\"\"\nimport Foundation\n\"\"\"\nimport struct HostOS.Bell"
        let code = SwiftText.code(of: text)
        #expect(SwiftText.imports(of: code) == ["HostOS"])
        #expect(code.split(separator: "\n", omittingEmptySubsequences: false).count == 4)
    }

    @Test(
        "Unsafe expressions, and names that only look like them",
        arguments: [
            ("let a = unsafe p.pointee", true), ("f(unsafe [x])", true), ("case unsafe", false),
            ("a == .unsafe }", false), ("nonisolated(unsafe) var x = 1", false), ("static let unsafe = 1", false),
        ])
    func unsafeExpressions(line: String, expected: Bool) {
        #expect(SwiftText.hasUnsafeExpression(line) == expected)
    }

    @Test(
        "Imports with access levels, attributes and kinds",
        arguments: [
            ("internal import Log", ["Log"]), ("@_exported public import X86", ["X86"]),
            ("private import func HostOS.open", ["HostOS"]), ("let important = 3", []), ("x.import Log", []),
        ])
    func imports(line: String, modules: [String]) {
        #expect(SwiftText.imports(of: line) == modules)
    }
}
