internal import HostOS
internal import LibvirtClient

/// Contents between streams and files.
enum Transfer {
    /// Writes a stream to a file, with its holes as holes.
    static func download(_ stream: ClientStream, _ path: String) throws {
        let file = try HostFile.open(path, .replace, permissions: 0o666)
        var length: Int64 = 0
        var endsInHole = false
        while let piece = try stream.next() {
            switch piece {
            case .data(let bytes):
                try file.writeAll(bytes)
                length += Int64(bytes.count)
                endsInHole = false
            case .hole(let count):
                let (sum, overflow) = length.addingReportingOverflow(count)
                guard !overflow else { throw CommandFailure("a hole of \(count) bytes does not fit the file") }
                length = sum
                try HostFile.seek(file, length)
                endsInHole = true
            case .end:
                if endsInHole { try HostFile.setSize(file, length) }
                return try stream.finish()
            }
        }
    }

    /// Sends a file; with `sparse` without its holes.
    static func upload(_ stream: ClientStream, _ file: Descriptor, sparse: Bool) throws {
        var offset: Int64 = 0
        let size = HostFile.size(of: file)
        while true {
            var limit = 262_120
            if sparse, offset < size {
                let extent = HostFile.extent(file, at: offset)
                if !extent.isData {
                    let end = min(extent.end, size)
                    guard end > offset else { break }
                    try stream.sendHole(end - offset)
                    offset = end
                    try HostFile.seek(file, offset)
                    continue
                }
                limit = Int(min(Int64(limit), max(1, extent.end - offset)))
            }
            let bytes = try file.readAvailable(limit: limit)
            if bytes.isEmpty { break }
            try stream.send(bytes)
            offset += Int64(bytes.count)
        }
    }
}
