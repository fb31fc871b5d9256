import CLinux
import Testing

/// Two authorities, `ca` and `no`, and certificates that they sign, in the folders `server`, `client` and `other`.
struct TestCertificates {
    private let folder: Folder
    /// What every end's certificate says of its use, but for what follows it.
    let usage = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage="

    init(_ folder: Folder) throws {
        self.folder = folder
        for name in ["server", "client", "other"] { _ = unsafe mkdir(folder.file(name), 0o700) }
        for authority in ["ca", "no"] {
            openssl(
                "req", "-keyout", folder.file("\(authority)-key.pem"), "-out", folder.file("\(authority)-cert.pem"),
                "-subj", "/CN=\(authority)", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                "keyUsage=critical,keyCertSign", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days",
                "3650", "-x509")
        }
    }

    private func openssl(_ words: String...) {
        let result = Tool.run(["/usr/bin/openssl"] + words) { String(decoding: $0, as: UTF8.self) }
        #expect(result.status == 0, "\(words): \(result.errors)")
    }

    /// Makes a key and its certificate, signed by an authority, in the folder `place`.
    func sign(_ name: String, _ authority: String, _ place: String, _ extensions: String, subject: String? = nil) {
        folder.write("extensions", Array(extensions.utf8))
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            folder.file("\(place)/\(name)-key.pem"), "-out", folder.file("request"), "-subj", subject ?? "/CN=\(name)")
        openssl(
            "x509", "-req", "-in", folder.file("request"), "-CA", folder.file("\(authority)-cert.pem"), "-CAkey",
            folder.file("\(authority)-key.pem"), "-CAcreateserial", "-days", "3650", "-extfile",
            folder.file("extensions"), "-out", folder.file("\(place)/\(name)-cert.pem"))
        folder.write("\(place)/ca-cert.pem", folder.read("ca-cert.pem"))
    }
}
