internal import BlockImage
internal import CLinux
internal import HostOS

/// The commands that hold requests at events of the block layer, which `blkdebug` does.
enum IOBreakpoints {
    static var commands: [IOCommand] {
        [
            IOCommand("break", 2...2, "event tag", "sets a breakpoint on event and tags the stopped request as tag") {
                exercise, _, words throws(IOFailure) in
                guard let node = exercise.debugNode else { throw failed("Could not set breakpoint", ENOTSUP) }
                guard let event = BlockEvent(rawValue: words[0]) else {
                    throw failed("Could not set breakpoint", ENOENT)
                }
                node.addBreakpoint(event, tag: words[1])
                exercise.tags.insert(words[1])
            },
            IOCommand("remove_break", 1...1, "tag", "remove a breakpoint by tag") {
                exercise, _, words throws(IOFailure) in
                guard let node = exercise.debugNode else {
                    throw failed("Could not remove breakpoint \(words[0])", ENOTSUP)
                }
                guard node.removeBreakpoint(tag: words[0]) else {
                    throw failed("Could not remove breakpoint \(words[0])", ENOENT)
                }
                exercise.tags.remove(words[0])
            },
            IOCommand("resume", 1...1, "tag", "resumes the request tagged as tag") {
                exercise, _, words throws(IOFailure) in
                guard let node = exercise.debugNode else { throw failed("Could not resume request", ENOTSUP) }
                guard node.isSuspended(tag: words[0]) else { throw failed("Could not resume request", ENOENT) }
                exercise.session.put("blkdebug: Resuming request '\(words[0])'\n")
                node.resume(tag: words[0])
            },
            IOCommand("wait_break", 1...1, "tag", "waits for the suspension of a request") {
                exercise, _, words throws(IOFailure) in
                // Where nobody can come any more, waiting has no end.
                guard let node = exercise.debugNode, exercise.tags.contains(words[0]) else {
                    throw failed("Could not wait for a breakpoint", ENOENT)
                }
                let bell = Bell()
                while !node.isSuspended(tag: words[0]) { bell.wait(nanoseconds: 1_000_000) }
                exercise.session.put("blkdebug: Suspended request '\(words[0])'\n")
            },
        ]
    }

    private static func failed(_ what: String, _ status: Int32) -> IOFailure {
        .text("\(what): \(Formatting.reason(status))")
    }
}

/// Requests on threads of their own, which a break point may hold while other commands go on.
final class IOBackground {
    private struct Request {
        let thread: HostThread
        let exercise: IOExercise
    }
    private var requests: [Request] = []

    /// What another thread works on.
    private struct Handover: @unchecked Sendable {
        // Sendable: the exercise is the thread's own, with a console in memory; the image is for any thread.
        let exercise: IOExercise
    }

    /// Begins a command. False: there is no thread for it.
    func start(_ exercise: IOExercise, _ name: String, _ words: [String]) -> Bool {
        let work = Handover(exercise: exercise)
        do throws(HostError) {
            let thread = try HostThread(name: "aio", stackSize: 1 << 20) {
                _ = work.exercise.runHere(name, words)
            }
            requests.append(Request(thread: thread, exercise: exercise))
            return true
        } catch { return false }
    }

    /// Waits for all of them, and shows what they said in the order in which they began.
    func finish(_ console: Console) {
        for request in requests {
            request.thread.join()
            console.put(request.exercise.session.console.output)
            let errors = String(decoding: request.exercise.session.console.errors, as: UTF8.self)
            if errors.hasSuffix("\n") { console.putError(String(errors.dropLast())) }
        }
        requests = []
    }
}
