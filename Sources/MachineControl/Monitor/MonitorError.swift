internal import JSON
internal import Machine

/// An error of a monitor's command, by the classes that QMP has.
enum MonitorError: Error, Equatable {
    case generic(String)
    case commandNotFound(String)
    case deviceNotFound(String)
    case deviceNotActive(String)

    /// The class in QMP's words.
    var className: String {
        switch self {
        case .generic: "GenericError"
        case .commandNotFound: "CommandNotFound"
        case .deviceNotFound: "DeviceNotFound"
        case .deviceNotActive: "DeviceNotActive"
        }
    }
    var text: String {
        switch self {
        case .generic(let text), .commandNotFound(let text), .deviceNotFound(let text), .deviceNotActive(let text):
            text
        }
    }

    init(_ error: MachineError) {
        if case .deviceNotFound = error {
            self = .deviceNotFound(error.description)
        } else if case .jobNotActive(let text) = error {
            self = .deviceNotActive(text)
        } else {
            self = .generic(error.description)
        }
    }
    init(_ error: OptionError) {
        if case .invalid(let text) = error { self = .generic(text) } else { self = .generic("Help is not a value") }
    }
}

/// Runs an operation of the machine with its errors as the monitor's.
func monitored<T>(_ body: () throws(MachineError) -> T) throws(MonitorError) -> T {
    do throws(MachineError) { return try body() } catch { throw MonitorError(error) }
}
