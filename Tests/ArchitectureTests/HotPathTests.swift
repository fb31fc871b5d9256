import Foundation
import TestSupport
import Testing

/// The interpreter's handlers are compiled to plain loads, stores and jumps. One call into the Swift runtime in them
/// costs more than the instruction that they run, and nothing but the object code shows it.
@Suite("Object code of the hot path")
struct HotPathTests {
    /// Files of `TranslatorEngine` whose closures are handlers.
    static let handlerFiles = ["BinaryTable", "MoveTable", "Branches", "Stack", "Moves", "Shifts"]

    /// Runtime calls that a handler must not make, by the start of their names.
    static let forbidden = [
        "swift_retain", "swift_release", "swift_bridgeObject", "swift_beginAccess", "swift_once", "swift_allocObject",
        "swift_slowAlloc",
    ]

    /// Where the build that runs these tests put its objects.
    static let objects: URL = {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let beside = program.appendingPathComponent("TranslatorEngine.build")
        if FileManager.default.fileExists(atPath: beside.path) { return beside }
        return Repository.root.appendingPathComponent(".build/release/TranslatorEngine.build")
    }()

    static func object(_ name: String) -> String { objects.appendingPathComponent(name + ".swift.o").path }

    static let built = handlerFiles.filter { FileManager.default.fileExists(atPath: object($0)) }

    static let hasObjdump = (try? HostProgram.run("objdump", ["--version"]).status == 0) ?? false

    /// Whether a mangled symbol is a closure (or the C function made of one): those end in `U_`, `U0_`, … and what
    /// the optimiser adds to that. The functions that the closures call are inlined, or slow paths on purpose.
    static func isClosure(_ symbol: String) -> Bool {
        symbol.hasPrefix("$s16TranslatorEngine")
            && symbol.wholeMatch(of: /.*U[0-9]*_(To)?(T[a-zA-Z0-9_]*)?(\.[a-z0-9.]+)?/) != nil
    }

    @Test(
        "Handlers make no runtime calls",
        .enabled(if: !built.isEmpty, "No objects of the interpreter's handlers are built"),
        .enabled(if: hasObjdump, "objdump is not installed"),
        arguments: built)
    func handlersMakeNoRuntimeCalls(file: String) throws {
        let functions = try ObjectFile(path: Self.object(file)).functions.filter { Self.isClosure($0.name) }

        #expect(!functions.isEmpty, "No handler found in \(file).swift.o")
        for function in functions {
            let calls = function.calls.filter { call in Self.forbidden.contains { call.hasPrefix($0) } }
            #expect(calls.isEmpty, "\(function.name) calls \(calls.sorted())")
        }
    }

    @Test("Runtime calls are found where there are some", .enabled(if: hasObjdump, "objdump is not installed"))
    func runtimeCallsAreFound() throws {
        // A class of this package that surely allocates: the check above is worth nothing if this finds nothing.
        let path = Self.objects.deletingLastPathComponent()
            .appendingPathComponent("GuestMemory.build/AddressSpace.swift.o").path
        try #require(FileManager.default.fileExists(atPath: path))
        let calls = try ObjectFile(path: path).functions.reduce(into: Set<String>()) { $0.formUnion($1.calls) }

        #expect(calls.contains { $0.hasPrefix("swift_retain") || $0.hasPrefix("swift_release") })
    }

    @Test(
        "Closures are told from other functions",
        arguments: [
            ("$s16TranslatorEngine10jumpLinkedySo12apus_micro_opVSo0E4_cpuV_AEtXCvpfiAeG_AEtcfU_To", true),
            ("$s16TranslatorEngine11jccHandlersSayAAXCGvpfiA_cfU12_", true),
            ("$s16TranslatorEngine3CPUV11findAndLinkyA_F", false),
            ("$s11GuestMemory3CPUVcfU_", false),
        ])
    func closures(symbol: String, expected: Bool) {
        #expect(Self.isClosure(symbol) == expected)
    }
}
