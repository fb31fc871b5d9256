import Testing

@Suite("The arrows between targets")
struct DependencyTests {
    @Test("Package.swift declares the arrows of the plan, no more and no fewer")
    func arrowsAreThePlans() throws {
        let package = try PackageDescription.load()
        let declared = Dictionary(
            uniqueKeysWithValues: package.targets.filter { $0.type != "test" }.map { ($0.name, $0.arrows) })
        let planned = Dictionary(
            uniqueKeysWithValues: (Floors.targets + Floors.testSupport).map { ($0.name, $0.dependencies) })

        #expect(Set(declared.keys) == Set(planned.keys))
        for (name, arrows) in declared {
            let plan = planned[name] ?? []
            #expect(arrows.subtracting(plan).isEmpty, "\(name) has arrows that the plan lacks")
            #expect(plan.subtracting(arrows).isEmpty, "\(name) lacks arrows of the plan")
        }
    }

    @Test("No target of the plan rests on one that comes after it")
    func floorsRestOnLowerOnes() {
        var below = Floors.external
        for target in Floors.targets {
            #expect(target.dependencies.subtracting(below).isEmpty, "\(target.name) rests on a higher target")
            #expect(below.insert(target.name).inserted, "\(target.name) is listed twice")
        }
    }

    @Test("Every folder of Sources is a target of the plan")
    func foldersAreTargets() {
        let folders = Set(Repository.sources.map(\.target))
        #expect(folders == Set(Floors.targets.map(\.name)))
    }

    @Test("A file imports only what its target declares")
    func importsAreDeclared() {
        let plan = Dictionary(uniqueKeysWithValues: Floors.targets.map { ($0.name, $0.dependencies) })
        #expect(!Repository.swiftSources.isEmpty)
        for file in Repository.swiftSources {
            let allowed = (plan[file.target] ?? []).union(Floors.toolchain)
            let others = Set(SwiftText.imports(of: SwiftText.code(of: file.text))).subtracting(allowed)
            #expect(others.isEmpty, "\(file) imports \(others.sorted())")
        }
    }
}
