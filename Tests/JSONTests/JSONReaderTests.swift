import JSON
import TestSupport
import Testing

private let readable: [(String, JSONValue)] = [
    ("null", JSONValue.null), (" true ", JSONValue.bool(true)), ("0", JSONValue.integer(0)),
    ("-0", JSONValue.integer(0)), ("9223372036854775807", JSONValue.integer(Int64.max)),
    ("-9223372036854775808", JSONValue.integer(Int64.min)), ("9223372036854775808", JSONValue.unsigned(1 << 63)),
    ("18446744073709551615", JSONValue.unsigned(UInt64.max)),
    ("18446744073709551616", JSONValue.double(18446744073709551616)), ("1.5", JSONValue.double(1.5)),
    ("-2e3", JSONValue.double(-2000)), ("1E+2", JSONValue.double(100)), ("\"\"", JSONValue.string("")),
    ("[]", JSONValue.array([])), ("{}", JSONValue.object(JSONObject())),
    ("[1, [2]]", JSONValue.array([JSONValue.integer(1), JSONValue.array([JSONValue.integer(2)])])),
    (#""\u0041\n\t\"\\\/\u00e9\ud83d\ude00""#, JSONValue.string("A\n\t\"\\/é😀")),
    ("\"é😀\"", JSONValue.string("é😀")), (#""\u0000""#, JSONValue.string("\0")),
]

@Test(arguments: readable)
func readsValues(text: String, expected: JSONValue) throws {
    #expect(try JSONReader.parse(text) == expected)
}

@Test(arguments: [
    ("", "no value at offset 0"), ("  ", "no value at offset 2"), ("nul", "invalid keyword 'nul' at offset 0"),
    ("[1,]", "']' where a value is expected at offset 3"), ("[1 2]", "'2' where ',' or ']' is expected at offset 3"),
    ("{\"a\" 1}", "'1' where ':' is expected at offset 5"),
    ("{a:1}", "'a' where a member's name is expected at offset 1"),
    ("{\"a\":1,\"a\":2}", "duplicate member 'a' at offset 7"), ("01", "invalid number at offset 0"),
    ("-", "input ends inside a value at offset 1"), ("1.", "input ends inside a value at offset 2"),
    ("1.x", "invalid number at offset 2"), ("1e999", "number out of range at offset 0"),
    ("\"a", "input ends inside a value at offset 2"), ("\"\\x\"", "invalid escape sequence at offset 1"),
    ("\"\\ud800\"", "surrogate without its pair at offset 1"),
    ("\"\\udc00\"", "surrogate without its pair at offset 1"),
    ("\"\\ud800\\u0041\"", "surrogate without its pair at offset 1"),
    ("'a'", "''' where a value is expected at offset 0"),
    ("\"a\nb\"", "control character 0x0a in a string at offset 2"),
    ("1 2", "'2' where the end of the value is expected at offset 2"),
    ("+1", "'+' where a value is expected at offset 0"),
])
func namesErrorsAndTheirPlace(text: String, expected: String) {
    #expect { try JSONReader.parse(text) } throws: { "\($0)" == expected }
}

@Test(
    arguments: [
        [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe0, 0x80, 0x80], [0x80], [0xc3], [0xff],
    ] as [[UInt8]])
func refusesBytesThatAreNotUTF8(sequence: [UInt8]) {
    #expect { try JSONReader.parse([0x22] + sequence + [0x22]) } throws: {
        $0 as? JSONError == JSONError(.encoding, at: 1)
    }
}

@Test func singleQuotesAreQMPs() throws {
    let value = try JSONReader.parse(#"{'a': 'b"c\'d', "e": "f'g"}"#, limits: .monitor)
    #expect(value == ["a": .string("b\"c'd"), "e": .string("f'g")])
}

@Test func limitsHold() {
    let deep = String(repeating: "[", count: 100_000)
    #expect { try JSONReader.parse(deep) } throws: { $0 as? JSONError == JSONError(.depth(limit: 512), at: 512) }
    #expect { try JSONReader.parse("[1,2,3]", limits: JSONLimits(size: 4)) } throws: {
        $0 as? JSONError == JSONError(.size(limit: 4), at: 4)
    }
}

@Test func objectsKeepOrderAndFindManyMembers() throws {
    var object = JSONObject()
    for number in 0..<1000 { object["m\(999 - number)"] = .number(number) }
    object["m500"] = nil
    #expect(object.names.first == "m999")
    #expect(object.count == 999)
    #expect(object["m0"] == 999)
    #expect(object["m500"] == nil)
    #expect(object["m499"] == 500)
}

@Test func writesAsQMPDoes() {
    let value: JSONValue = [
        "a": [1, .unsigned(.max), .double(1.5), .null, true], "b": .string("é\u{1}\"😀"), "c": .object([:]),
    ]
    #expect(
        value.description
            == #"{"a": [1, 18446744073709551615, 1.5, null, true], "b": "\u00e9\u0001\"\ud83d\ude00", "c": {}}"#)
    let pretty = String(decoding: JSONWriter.write(["a": [1, 2], "b": []], pretty: true), as: UTF8.self)
    #expect(pretty == "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": []\n}")
}

@Test func writtenValuesReadBackTheSame() throws {
    var random = SplitMix64(state: 11)
    for _ in 0..<500 {
        let value = random.value(depth: 4)
        #expect(try JSONReader.parse(JSONWriter.write(value)) == value)
        #expect(try JSONReader.parse(JSONWriter.write(value, pretty: true)) == value)
    }
}

@Test func hostileBytesEndInAnError() {
    // Mutations of a valid text, and noise out of the bytes that matter to a reader.
    var random = SplitMix64(state: 7)
    let alphabet = Array("{}[]:,\"'\\u0dD9-+.eE truefalsn\n\u{e9}".utf8) + [0xff, 0xc0, 0xed, 0xa0, 0x00]
    let seed = Array(
        #"{"execute": "human-monitor-command", "arguments": {"a": [1, -2.5e3, "\ud83d\ude00", null, true]}, 'x': 'y'}"#
            .utf8)
    for round in 0..<FuzzRounds.times(20_000) {
        var bytes =
            round % 2 == 0
            ? seed : (0..<Int(random.next() % 40)).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }
        for _ in 0..<Int(random.next() % 4) where !bytes.isEmpty {
            bytes[Int(random.next() % UInt64(bytes.count))] = alphabet[Int(random.next() % UInt64(alphabet.count))]
        }
        do {
            let value = try JSONReader.parse(bytes, limits: .monitor)
            #expect(try JSONReader.parse(JSONWriter.write(value), limits: .monitor) == value)
        } catch { #expect(error.offset >= 0 && error.offset <= bytes.count) }
    }
}

extension SplitMix64 {
    mutating func value(depth: Int) -> JSONValue {
        switch next() % (depth > 0 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(next() % 2 == 0)
        case 2: return .number(Int64(truncatingIfNeeded: next()))
        case 3: return .number(next())
        case 4: return .double(Double(Int64(truncatingIfNeeded: next())) / 1024.5)
        case 5:
            let scalars = (0..<Int(next() % 6)).compactMap { _ in UnicodeScalar(UInt32(next() % 0x11_0000)) }
            return .string(String(String.UnicodeScalarView(scalars)))
        case 6: return .array((0..<Int(next() % 4)).map { _ in value(depth: depth - 1) })
        default:
            var object = JSONObject()
            for _ in 0..<Int(next() % 4) { object["k\(next() % 100)"] = value(depth: depth - 1) }
            return .object(object)
        }
    }
}
