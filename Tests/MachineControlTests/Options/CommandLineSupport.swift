import Machine
import MachineControl
import Testing

/// The request of a line of words; single quotes keep blanks together.
func request(_ line: String, program: String = "/usr/bin/qemu-system-x86_64") -> CommandLineRequest {
    CommandLineParser.parse([program] + words(line))
}

func words(_ line: String) -> [String] {
    var result: [String] = []
    var word: String?
    var quoted = false
    for character in line {
        switch character {
        case "'":
            quoted.toggle()
            word = word ?? ""
        case " " where !quoted:
            if let word { result.append(word) }
            word = nil
        default: word = (word ?? "") + String(character)
        }
    }
    if let word { result.append(word) }
    return result
}

/// The machine of a line, without warnings.
func machine(_ line: String, program: String = "/usr/bin/qemu-system-x86_64") throws -> MachineConfiguration {
    guard case .machine(let configuration, let warnings) = request(line, program: program) else {
        Issue.record("\(line): \(request(line, program: program))")
        throw NoMachine()
    }
    // Many a line here is about back-ends alone.
    #expect(warnings.filter { !$0.hasSuffix(" has no peer") } == [])
    return configuration
}

struct NoMachine: Error {}

/// The line of a failure without the program's name.
func failure(_ line: String) -> String {
    guard case .failure(let text) = request(line) else { return "no failure: \(request(line))" }
    #expect(text.hasPrefix("qemu-system-x86_64: "))
    #expect(!text.contains("\n"))
    return String(text.dropFirst("qemu-system-x86_64: ".count))
}
