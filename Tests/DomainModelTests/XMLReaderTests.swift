import DomainModel
import Testing

@Suite struct XMLReaderTests {
    @Test func readsElementsAttributesTextAndLines() throws {
        let tree = try XMLReader.parse(
            "<?xml version='1.0' encoding='UTF-8'?>\n<!-- head -->\n"
                + "<a b='1' c=\"x &lt; &#65;&#x42;\">\n  <d>t&amp;u</d>\n  <e/>\n</a>\n"
        )

        #expect(tree.name == "a")
        #expect(tree["c"] == "x < AB")
        #expect(tree.children.map(\.name) == ["d", "e"])
        #expect(tree.child("d")?.text == "t&u")
        #expect(tree.line == 3)
        #expect(tree.child("e")?.line == 5)
    }

    @Test func keepsCharacterDataAndJoinsText() throws {
        let tree = try XMLReader.parse("<a>x<![CDATA[<&>]]>y\r\nz</a>")

        #expect(tree.text == "x<&>y\nz")
    }

    @Test(arguments: [
        "", "   ", "<", "<a", "<a>", "<a></b>", "<a b></a>", "<a b=c/>", "<a b='1' b='2'/>", "<a b='<'/>",
        "<a>&nope;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#xFFFFFFFFFF;</a>", "<a>&lt</a>", "<a/><b/>",
        "<a/>text", "<!-- a -- b --><a/>", "<a><![CDATA[x</a>", "<1a/>", "<a b='1'c='2'/>", "<a><!-- x </a>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>", "<a>\u{1}</a>", "<a>\u{FFFF}</a>", "<a / >", "<a b='x",
        "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
    ])
    func refusesWhatIsNotWellFormed(text: String) {
        let error = #expect(throws: DefinitionError.self) { try XMLReader.parse(text, document: "(t)") }

        #expect(error?.code == .xmlDetail)
        #expect(error?.message.hasPrefix("(t):1: ") == true)
    }

    @Test func refusesBytesThatAreNotUTF8() {
        #expect(throws: DefinitionError.self) { try XMLReader.parse(bytes: Array("<a>".utf8) + [0xC3, 0x28]) }
    }

    @Test func namesTheLineAtFault() {
        let error = #expect(throws: DefinitionError.self) { try XMLReader.parse("<a>\n<b>\n</c>\n</a>") }

        #expect(error?.line == 3)
        #expect(error?.message.contains("Opening and ending tag mismatch: b line 2 and c") == true)
    }

    @Test func bombsAreRefusedBeforeTheyGrow() {
        // Depth, width, size and the classic of nested entities, each just beyond its limit.
        let deep = String(repeating: "<a>", count: 300) + String(repeating: "</a>", count: 300)
        let wide = "<a>" + String(repeating: "<b/>", count: 60) + "</a>"
        let bomb = "<!DOCTYPE a [<!ENTITY a '1'><!ENTITY b '&a;&a;'>]><a>&b;</a>"

        #expect(throws: DefinitionError.self) { try XMLReader.parse(deep) }
        #expect(throws: DefinitionError.self) { try XMLReader.parse(wide, limits: XMLLimits(nodes: 50)) }
        #expect(throws: DefinitionError.self) { try XMLReader.parse(wide, limits: XMLLimits(size: 50)) }
        #expect(throws: DefinitionError.self) { try XMLReader.parse(bomb) }
    }

    @Test func writesAsLibvirtDoes() throws {
        let tree = try XMLReader.parse("<a b=\"it's &quot;&lt;\"><c>x &lt; y</c><d e='1'/></a>")

        #expect(
            XMLWriter.write(tree)
                == "<a b='it&apos;s &quot;&lt;'>\n  <c>x &lt; y</c>\n  <d e='1'/>\n</a>\n")
    }

    @Test func whatIsWrittenIsReadBack() throws {
        var tree = XMLTree("a")
        tree.attributes = [XMLAttribute("b", "\t\n\r'\"<>&é")]
        tree.nodes = [.text("\r\n<>&'\"ß")]

        #expect(try XMLReader.parse(XMLWriter.write(tree)) == tree)
    }
}
