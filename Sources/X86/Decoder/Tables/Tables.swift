/// The opcode tables, one array of rows for each region of the opcode maps; `OpcodeTables` puts them together.
enum Tables {
    // Short names for the columns of the rows.
    typealias O = OperandCode
    typealias A = AccessPattern
    typealias S = SizeRule
    typealias T = Trait
    typealias F = Feature
    typealias C = Category
}
