import Foundation

do {
    let options = try Options(ProcessInfo.processInfo.environment)
    try Bench(options).run()
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
