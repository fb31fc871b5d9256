import Foundation
import Synchronization

/// A web server on the host's loopback device, with a few files in memory, until it is let go.
final class HostWebServer: Sendable {
    private let listener: LoopbackSocket
    /// The port, of the kernel's choice.
    let port: Int

    /// Serves the files by their paths, which begin with a slash.
    init(_ files: [String: Data]) throws {
        let listener = try LoopbackSocket.listening()
        self.listener = listener
        port = listener.port
        Thread.detachNewThread {
            while let connection = listener.accepted() {
                Thread.detachNewThread { Self.serve(connection, files) }
            }
        }
    }

    deinit { listener.close() }

    /// Answers the requests of a connection, one after the other.
    private static func serve(_ connection: LoopbackSocket, _ files: [String: Data]) {
        var pending = Data()
        let blankLine = Data("\r\n\r\n".utf8)
        while true {
            while let end = pending.range(of: blankLine) {
                let request = String(decoding: pending[pending.startIndex..<end.lowerBound], as: UTF8.self)
                pending = Data(pending[end.upperBound...])
                let words = request.split(separator: "\r\n").first?.split(separator: " ") ?? []
                guard words.count == 3, words[0] == "GET" || words[0] == "HEAD" else { return }
                // apt asks for ./ as it is in its list.
                let path = words[1].replacingOccurrences(of: "/./", with: "/")
                let content = files[path]
                let head = """
                    HTTP/1.1 \(content == nil ? "404 Not Found" : "200 OK")\r
                    Content-Length: \(content?.count ?? 0)\r
                    Content-Type: application/octet-stream\r
                    \r

                    """
                let body = words[0] == "GET" ? content ?? Data() : Data()
                guard connection.write(Data(head.utf8) + body) else { return }
            }
            guard pending.count < 1 << 16, let more = connection.read() else { return }
            pending += more
        }
    }
}
