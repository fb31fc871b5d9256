/// One row of the table: work that both machines do, and how fast Apus is to be at it.
struct Workload {
    enum Group: String, CaseIterable {
        case boot, user, float, system, parallel, disk, network, firmware, screen, exits, state

        /// Rows of this group run on two vCPUs.
        var processors: Int { self == .parallel ? 2 : 1 }
    }

    let name: String
    let group: Group
    /// The line for the guest's shell; `PORT` in it stands for the port of the benchmark's server.
    let line: String
    /// The least ratio of speeds that the project promises, Apus over the peer.
    let goal: Double

    /// The rows whose line is sent to a running guest. Amounts are such that the peer needs a quarter to one second.
    static let all: [Workload] = [
        row("integer", .user, "work integer 100000000", 2.5),
        row("sieve", .user, "work sieve 40", 2.5),
        row("sort", .user, "work sort 20", 2.5),
        row("byte-code loop", .user, "work bytecode 5000000", 2.5),
        row("calls", .user, "work calls 500", 2.5),
        row("indirect jumps", .user, "work indirect 15000000", 2.5),
        row("pointer chase", .user, "work chase 3000000", 2.5),
        row("memory copy", .user, "work copy 700", 2.5),
        row("byte scan", .user, "work scan 150", 2.5),
        row("hash", .user, "work hash 300000", 2.5),
        row("gzip", .user, "work command 1 'cat /bin/busybox | gzip -c'", 2.5),
        row("awk", .user, "work command 1 '\(awk)'", 2.5),
        row("shell", .user, "work command 1 '\(shell)'", 2.5),
        row("matrix product, SSE2", .float, "work matrix 16", 8),
        row("libm scalar", .float, "work libm 240000", 4),
        row("80-bit x87", .float, "work extended 1000", 4),
        row("page faults", .system, "work faults 24", 1),
        row("fork", .system, "work forks 600", 1),
        row("fork and exec", .system, "work execs 200", 1),
        row("pipe ping-pong", .system, "work pipes 8000", 1),
        row("system calls", .system, "work syscalls 1200000", 1),
        row("threads", .parallel, "work threads 24000000", 2),
        row("contended atomics", .parallel, "work atomics 8000000", 2),
        row("hand-offs", .parallel, "work handoffs 12000", 1),
        row("disk, sequential read", .disk, "work disk-read 2500", 1),
        row("disk, sequential write", .disk, "work disk-write 1000", 1),
        row("disk, random 4 KiB", .disk, "work disk-random 6000", 1),
        row("network, receive", .network, "work net-receive 1000 PORT", 1),
        row("network, send", .network, "work net-send 500 PORT", 1),
        row("network, round trips", .network, "work net-turns 3000 PORT", 1),
    ]

    private static let awk = """
        BEGIN { for (i = 0; i < 25000; i++) { a[i % 1000] += i * 3; s = s + length(i "x") } print s, a[7] }
        """.awkCommand
    private static let shell =
        "i=0; s=0; while [ $i -lt 12000 ]; do s=$(( (s * 31 + i) % 65521 )); case $s in *7) i=$((i + 2));; "
        + "*) i=$((i + 1));; esac; done; echo $s"

    private static func row(_ name: String, _ group: Group, _ line: String, _ goal: Double) -> Workload {
        Workload(name: name, group: group, line: line, goal: goal)
    }
}

extension String {
    /// An awk program as a command inside of single quotes: no shell between takes the dollar signs and quotes.
    fileprivate var awkCommand: String {
        "awk \"" + replacing("\"", with: "\\\"") + "\""
    }
}
