internal import BlockImage
internal import CLinux
internal import HostOS

/// The program `qemu-io`: commands that read and write an image, for tests.
enum IOProgram {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hVc:d:f:rsnCmki:t:T:U",
            long: [
                .init("help", "h"), .init("version", "V"), .init("cmd", "c", value: true),
                .init("format", "f", value: true), .init("read-only", "r"), .init("snapshot", "s"),
                .init("nocache", "n"), .init("copy-on-read", "C"), .init("misalign", "m"), .init("native-aio", "k"),
                .init("aio", "i", value: true), .init("discard", "d", value: true), .init("cache", "t", value: true),
                .init("trace", "T", value: true), .init("force-share", "U"), .init("object", value: true),
                .init("image-opts"),
            ])
        var commands: [String] = []
        var plan = IOImagePlan()
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(help)
                return 0
            case "V":
                session.put("qemu-io version 7.2.0 (Apus)\n")
                return 0
            case "c": commands.append(value)
            case "f": plan.format = value
            case "r": plan.mode.isWritable = false
            case "s": plan.isSnapshot = true
            case "C": plan.mode.copiesOnRead = true
            case "n": plan.mode.cache = CacheMode.none
            case "i":
                guard ["threads", "native", "io_uring"].contains(value) else {
                    throw ToolFailure("Invalid aio option: \(value)")
                }
            case "d":
                guard let discard = IOImagePlan.discard(value) else {
                    throw ToolFailure("Invalid discard option: \(value)")
                }
                plan.mode.discard = discard
            case "t": plan.mode.cache = try CacheOption.parse(value)
            case "U": plan.mode.isShared = true
            case "image-opts": plan.isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count <= 1 else {
            session.put(help)
            return 1
        }
        if plan.isOptionList && plan.format != nil {
            throw ToolFailure("--image-opts and -f are mutually exclusive")
        }
        let exercise = IOExercise(session)
        defer { exercise.close() }
        if let name = scanner.operands.first {
            plan.name = name
            guard exercise.open(plan) else { return 1 }
        }
        guard commands.isEmpty else { return exercise.run(commands) ? 0 : 1 }
        var isGood = true
        while !exercise.isOver {
            session.put("qemu-io> ")
            session.console.flush()
            guard let line = readLine() else { break }
            if !exercise.run([line]) { isGood = false }
        }
        return isGood ? 0 : 1
    }

    private static let help = """
        Usage: qemu-io [OPTIONS]... [-c STRING]... [file]
        Reads and writes a disk image by commands, of the command line or of the standard input.

          -h, --help, -V, --version
          -c, --cmd STRING     carry out a command; may be given several times
          -f, --format FMT     the image's format
          -r, --read-only      open it for reading
          -s, --snapshot       writes go to a temporary image
          -n, --nocache        the same as -t none
          -t, --cache MODE, -d, --discard MODE, -i, --aio MODE, -k, -C, -m, -T, --object
          -U, --force-share    also when others write to it
          --image-opts         the file name is a list of options

        'qemu-io -c help' lists the commands.

        """
}

/// How the program opens an image.
struct IOImagePlan {
    var name = ""
    var format: String?
    var isOptionList = false
    var isSnapshot = false
    var mode = OpenMode.write

    static func discard(_ text: String) -> String? {
        switch text {
        case "ignore", "off": "ignore"
        case "unmap", "on": "unmap"
        default: nil
        }
    }
}
