/// The opcode tables. A table is an array of rows; `OpcodeIndex` finds an opcode in it.
enum Tables {}
