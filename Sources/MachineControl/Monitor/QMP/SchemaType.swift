/// A type of QMP's arguments, results and events, as `query-qmp-schema` describes it.
indirect enum SchemaType: Sendable {
    case string
    case integer
    case number
    case boolean
    case null
    case any
    case array(SchemaType)
    case enumeration(String, [String])
    /// A value of one of several types, which JSON tells apart.
    case alternate(String, [SchemaType])
    case object(SchemaObject)

    static let empty = SchemaType.object(SchemaObject("q_empty", []))

    /// The type's name in the schema. Clients follow names and read no meaning in them.
    var name: String {
        switch self {
        case .string: "str"
        case .integer: "int"
        case .number: "number"
        case .boolean: "bool"
        case .null: "null"
        case .any: "any"
        case .array(let element): "[\(element.name)]"
        case .enumeration(let name, _), .alternate(let name, _): name
        case .object(let object): object.name
        }
    }
}

/// An object type: its members by name.
struct SchemaObject: Sendable {
    let name: String
    let members: [SchemaMember]
    /// For a union, the member that tells the case, and the further members of each case.
    let tag: String?
    let variants: [(name: String, type: SchemaObject)]
    /// Whether members of a case are checked with the others; else the handler checks them.
    let checksVariants: Bool
    /// Whether it takes members that are not declared. The handler checks those.
    let isOpen: Bool

    init(
        _ name: String, _ members: [SchemaMember], tag: String? = nil,
        variants: [(name: String, type: SchemaObject)] = [], checksVariants: Bool = false, isOpen: Bool = false
    ) {
        self.isOpen = isOpen
        self.checksVariants = checksVariants
        self.name = name
        self.members = members
        self.tag = tag
        self.variants = variants
    }
}

/// A member of an object type.
struct SchemaMember: Sendable {
    let name: String
    let type: SchemaType
    let isOptional: Bool

    /// The member of a parameter of an option.
    init(_ parameter: Parameter, of owner: String, optional: Bool) {
        let type: SchemaType
        switch parameter.kind {
        // A list of strings is one of objects with a string in them, as QMP has it.
        case .string where parameter.repeats:
            type = .object(SchemaObject("String", [SchemaMember("str", .string)]))
        case .string: type = .string
        case .boolean: type = .boolean
        case .number, .unsigned, .size: type = .integer
        case .choice(let words): type = .enumeration("\(owner)-\(parameter.name)", words)
        case .any: type = .any
        }
        self.init(parameter.name, parameter.repeats ? .array(type) : type, optional: optional)
    }

    init(_ name: String, _ type: SchemaType, optional: Bool = false) {
        self.name = name
        self.type = type
        isOptional = optional
    }
}
