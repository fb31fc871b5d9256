import SASL
import TestSupport
import Testing

@Suite("auth.conf")
struct CredentialFileTests {
    private static let text = """
        # Names and passwords.
        [credentials-test]
        authname = fred
        password= 12 34=56
        ; another
        [credentials-prod]
        authname=bar
        username=as

        [auth-libvirt-dev1.example.com]
        credentials=test
        [auth-libvirt-default]
        credentials=prod
        [auth-esx-dev1.example.com]
        credentials=prod
        [auth-libvirt-nowhere]
        credentials=missing
        """

    @Test("Hosts have their names and passwords, others those of the default")
    func answers() throws {
        let file = try CredentialFile(Self.text)
        #expect(file.answer(.name, host: "dev1.example.com") == "fred")
        #expect(file.answer(.password, host: "dev1.example.com") == "12 34=56")
        #expect(file.answer(.user, host: "dev1.example.com") == nil)
        #expect(file.answer(.name, host: "elsewhere") == "bar")
        #expect(file.answer(.user, host: "elsewhere") == "as")
        #expect(file.answer(.password, host: "elsewhere") == nil)
        #expect(file.answer(.name, host: "nowhere") == nil)
        #expect(file.answer(.name, service: "esx", host: "dev1.example.com") == "bar")
        #expect(try CredentialFile("").answer(.name, host: "h") == nil)
    }

    @Test("A line that is none is named", arguments: ["a=b", "[x]\nword", "[", "[]", "[x", "[x]\n[y]z"])
    func damage(text: String) {
        let error = #expect(throws: SASLError.self) { try CredentialFile(text) }
        #expect(error?.description.hasPrefix("auth.conf:\(text.split(separator: "\n").count): '") == true)
    }

    @Test("Any bytes are a file or an error")
    func fuzz() {
        var random = SplitMix64(state: 4711)
        let letters = Array("[]=#; \t\r\nauth-libvirt-defaultcredentials")
        for _ in 0..<FuzzRounds.times(500) {
            let text = String((0..<80).map { _ in letters.randomElement(using: &random)! })
            guard let file = try? CredentialFile(text) else { continue }
            _ = file.answer(.name, host: "x")
        }
    }
}
