/// Why a definition is refused: libvirt's error number, its text, and where in the document.
///
/// The numbers are those that libvirt's clients branch on (virErrorNumber of libvirt's public API).
public struct DefinitionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// libvirt's number of a kind of error.
    public struct Code: RawRepresentable, Equatable, Hashable, Sendable {
        public var rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// Something that should not happen, or that has no number of its own.
        public static let internalError = Code(rawValue: 1)
        /// An argument is of no use.
        public static let invalidArgument = Code(rawValue: 8)
        /// A name is missing.
        public static let noName = Code(rawValue: 21)
        /// The operating system's type is missing or unknown.
        public static let osType = Code(rawValue: 25)
        /// The XML says something that it must not.
        public static let xmlError = Code(rawValue: 27)
        /// The text is not well-formed XML.
        public static let xmlDetail = Code(rawValue: 35)
        /// The configuration is understood and not supported.
        public static let configUnsupported = Code(rawValue: 67)
        /// A number does not fit.
        public static let overflow = Code(rawValue: 72)
        /// The document does not follow the schema: an unknown element or attribute.
        public static let invalidSchema = Code(rawValue: 92)
        /// The value is out of the operation's range.
        public static let noSupport = Code(rawValue: 3)
    }

    /// libvirt's number.
    public var code: Code
    /// libvirt's text, with the category in front, as a client shows it.
    public var message: String
    /// The line of the document, from 1; 0 where no one line is at fault.
    public var line: Int

    public init(_ code: Code, _ message: String, line: Int = 0) {
        self.code = code
        self.message = message
        self.line = line
    }

    public var description: String { line > 0 ? "\(message) (line \(line))" : message }

    /// `XML error: …`, number 27.
    static func xml(_ detail: String, line: Int = 0) -> DefinitionError {
        DefinitionError(.xmlError, "XML error: \(detail)", line: line)
    }

    /// `unsupported configuration: …`, number 67.
    static func unsupported(_ detail: String, line: Int = 0) -> DefinitionError {
        DefinitionError(.configUnsupported, "unsupported configuration: \(detail)", line: line)
    }

    /// The schema's refusal, number 92.
    static func schema(_ detail: String, line: Int) -> DefinitionError {
        DefinitionError(
            .invalidSchema, "XML document failed to validate against schema: \(detail) at line \(line)", line: line)
    }
}
