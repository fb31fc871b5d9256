import HostOS

/// The other programs of Apus, installed beside this one: as commands of `apus` they are the same programs.
enum Siblings {
    /// Becomes the program `file` under the name that tells it what to be. Returns only where there is none, with the
    /// exit status.
    static func become(_ file: String, as name: String, _ arguments: [String]) -> Int32 {
        let own = (try? HostFile.target(ofLink: "/proc/self/exe")) ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "/usr/bin"
        do throws(HostError) { try HostProcess.become("\(folder)/\(file)", arguments: [name] + arguments) } catch {
            print("apus: cannot \(error); '\(file)' belongs beside 'apus'")
        }
        return 1
    }
}
