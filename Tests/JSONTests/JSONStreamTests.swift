import JSON
import TestSupport
import Testing

private func items(_ text: String, limits: JSONLimits = .monitor) -> [String] {
    var stream = JSONStream(limits: limits)
    return stream.feed(Array(text.utf8)).map(words)
}
private func words(_ item: JSONStream.Item) -> String {
    switch item {
    case .success(let value): value.description
    case .failure(let error): "! \(error)"
    }
}

@Test func cutsValuesOutOfAStream() {
    #expect(items("{\"a\": 1}[2]\n3 'x' true\n") == ["{\"a\": 1}", "[2]", "3", "\"x\"", "true"])
    #expect(items(#"{"a": "}]\"{"}{}"#) == [#"{"a": "}]\"{"}"#, "{}"])
    #expect(items("{\"a\":\n1\n}") == ["{\"a\": 1}"])
    #expect(items("{\"a\"") == [])
    #expect(items("12") == [])
}

@Test func everyCutOfTheBytesGivesTheSame() {
    let text = Array("{'execute':'x\\'y', \"id\": [1, \"é]\"]} tru {\"b\":{}}\n]{}\n".utf8)
    var whole = JSONStream()
    let expected = whole.feed(text).map(words)
    #expect(expected.count == 5)
    for cut in 0...text.count {
        var stream = JSONStream()
        let found = stream.feed(text[..<cut]) + stream.feed(text[cut...])
        #expect(found.map(words) == expected)
    }
}

@Test func goesOnAfterErrors() {
    #expect(items("{bad json}\n{}") == ["! 'b' where a member's name is expected at offset 1", "{}"])
    #expect(items("{\"a\": \"open\n{}") == ["! control character 0x0a in a string at offset 11", "{}"])
    #expect(items("{]{}") == ["! unbalanced ']' at offset 1", "{}"])
    #expect(items("}{}") == ["! unbalanced '}' at offset 0", "{}"])
    #expect(items("nul {}") == ["! invalid keyword 'nul' at offset 0", "{}"])
}

@Test func byte0xffStartsAnew() {
    var stream = JSONStream()
    let found = stream.feed(Array("{\"a\": [\"".utf8) + [0xff] + Array("{}".utf8) + [0xff, 0xff] + Array("[]".utf8))
    #expect(found.map(words) == ["! invalid UTF-8 at offset 8", "{}", "[]"])
}

@Test func memoryIsBounded() {
    let limits = JSONLimits(size: 100, depth: 4)
    let long = "[\"" + String(repeating: "x", count: 100_000) + "\"]\n{}"
    #expect(items(long, limits: limits) == ["! value longer than 100 bytes at offset 100", "{}"])
    #expect(items("[[[[[", limits: limits) == ["! nesting deeper than 4 at offset 4"])
}

@Test func noiseNeverStopsAStream() {
    var random = SplitMix64(state: 3)
    let alphabet = Array("{}[]:,\"'\\u0dD9-+.e tn\n".utf8) + [0xff, 0xc0, 0x00]
    var stream = JSONStream(limits: JSONLimits(size: 64, depth: 8, singleQuotes: true))
    for _ in 0..<FuzzRounds.times(2000) {
        _ = stream.feed(
            (0..<Int(random.next() % 50)).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] })
        // Resynchronised, it reads the next request whatever came before.
        let found = stream.feed([0xff] + Array("{\"execute\": \"x\"}".utf8))
        #expect(found.last.map(words) == "{\"execute\": \"x\"}")
    }
}
