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
    #expect(warnings == [])
    return configuration
}

struct NoMachine: Error {}
