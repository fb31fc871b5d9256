import RPCWire
import Testing

@Suite("XDR")
struct XDRTests {
    @Test("Numbers are big-endian and padded to four bytes")
    func numbers() throws {
        var writer = XDRWriter()
        try Int32(-2).write(to: &writer)
        try UInt64(0x0102_0304_0506_0708).write(to: &writer)
        try UInt8(7).write(to: &writer)
        try writer.string("abcde")
        #expect(
            writer.bytes == [
                0xFF, 0xFF, 0xFF, 0xFE, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 7, 0, 0, 0, 5, 97, 98, 99, 100, 101, 0, 0, 0,
            ])
        var reader = XDRReader(writer.bytes)
        #expect(try Int32(from: &reader) == -2)
        #expect(try UInt64(from: &reader) == 0x0102_0304_0506_0708)
        #expect(try UInt8(from: &reader) == 7)
        #expect(try reader.string() == "abcde")
        #expect(reader.remaining == 0)
    }

    @Test("Every kind of typed value comes back as it was")
    func typedValues() throws {
        let values: [TypedValue] = [
            .int(-5), .uint(5), .long(.min), .ulong(.max), .double(-0.25), .boolean(true), .string("x y"),
        ]
        for value in values {
            var writer = XDRWriter()
            try value.write(to: &writer)
            var reader = XDRReader(writer.bytes)
            #expect(try TypedValue(from: &reader) == value)
            #expect(reader.remaining == 0)
        }
        var reader = XDRReader([0, 0, 0, 8, 0, 0, 0, 0])
        #expect(throws: XDRError.unknownKind(8)) { _ = try TypedValue(from: &reader) }
    }

    @Test("Any flag but zero says that an optional is there")
    func optionalFlag() throws {
        var reader = XDRReader([1, 0, 0, 0, 0, 0, 0, 1, 65, 0, 0, 0])
        #expect(try reader.optional(String.self) == "A")
    }

    @Test("Counts above the limit and beyond the data are refused before anything is taken")
    func counts() {
        var long = XDRReader([0, 0, 0, 17] + [UInt8](repeating: 0, count: 80))
        #expect(throws: XDRError.tooLong(count: 17, limit: 16)) { _ = try long.array(UInt32.self, max: 16) }
        var huge = XDRReader([0x7F, 0xFF, 0xFF, 0xFF])
        #expect(throws: XDRError.truncated) { _ = try huge.array(UInt32.self, max: .max) }
        var string = XDRReader([0, 0, 0, 5, 65, 65, 65, 65, 65])
        #expect(throws: XDRError.truncated) { _ = try string.string() }
        var zero = XDRReader([0, 0, 0, 2, 65, 0, 0, 0])
        #expect(throws: XDRError.zeroInString) { _ = try zero.string() }
        var writer = XDRWriter()
        #expect(throws: XDRError.tooLong(count: 3, limit: 2)) {
            try writer.array([UInt32](repeating: 0, count: 3), max: 2)
        }
    }

    @Test(
        "Texts of UUIDs",
        arguments: [
            ("c7a5fdbd-cdaf-9455-926a-d65c16db1809", true), ("c7a5fdbdcdaf9455926ad65c16db1809", true),
            ("C7A5FDBD-cdaf-9455-926a-d65c16db1809", true), ("c7a5fdbd-cdaf-9455-926a-d65c16db180", false),
            ("c7a5fdbd-cdaf-9455-926a-d65c16db18091", false), ("c7a5fdb-dcdaf-9455-926a-d65c16db1809", false),
            ("", false),
        ])
    func uuids(text: String, valid: Bool) {
        let uuid = UUIDBytes(text)
        #expect((uuid != nil) == valid)
        if let uuid {
            #expect(uuid.description == "c7a5fdbd-cdaf-9455-926a-d65c16db1809")
            #expect(UUIDBytes(uuid.bytes) == uuid)
        }
    }
}

@Suite("Procedures")
struct ProcedureTests {
    @Test("The table knows all procedures with their traits")
    func table() throws {
        let remote = RPCProgram.remote.procedures
        #expect(remote.entries.count == 456)
        #expect(remote.entries.filter(\.isEvent).count == 55)
        #expect(Set(remote.entries.map(\.number)).count == 456)
        let create = try #require(remote[9])
        #expect(create.name == "DOMAIN_CREATE")
        #expect(create.function == "virDomainCreate")
        #expect(create.readOnly == .refused)
        #expect(remote[201]?.stream == .download)
        #expect(remote[208]?.stream == .upload)
        #expect(remote[0] == nil)
        #expect(remote[457] == nil)
        #expect(remote[-1] == nil)
        #expect(RPCProgram.qemu.procedures.entries.count == 7)
    }

    @Test("An answer to AUTH_LIST has the bytes that were seen on the wire")
    func referenceBytes() throws {
        let call = RPCHeader(program: .remote, procedure: Remote.AuthList.number, type: .call, serial: 7)
        let frame = try Frame(call.answering(.reply, .ok), Remote.AuthList.Result(types: [0]))
        let words: [UInt32] = [0x24, 0x2000_8086, 1, 0x42, 1, 7, 0, 1, 0]
        #expect(
            frame.bytes == words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } })
    }

    @Test("The arguments of CONNECT_OPEN")
    func open() throws {
        let frame = try Frame.call(Remote.ConnectOpen.self, .init(name: "qemu:///system", flags: 0), serial: 1)
        var reader = XDRReader(frame.payload)
        let arguments = try Remote.ConnectOpen.Arguments(from: &reader)
        #expect(arguments.name == "qemu:///system")
        #expect(frame.payload.count == 4 + 4 + 16 + 4)
        #expect(constants)
    }

    private var constants: Bool {
        VirErrorNumber.noDomain == 42 && VirErrorNumber.operationInvalid == 55 && VirDomainState.shutoff == 5
            && VirDriverFeature.programKeepalive == 10
    }
}
