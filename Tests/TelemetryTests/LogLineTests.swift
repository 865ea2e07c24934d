// Error-log lines, and the limit on how many one reason may write.
import Bytes
import Telemetry
import Testing

struct LogLineTests {
    @Test func `a line has nginx's shape`() {
        let line = LogLine.make(.notice, wallSeconds: 1_795_253_400, "signal 1 received, reloading")
        #expect(text(line) == "2026/11/21 09:30:00 [notice] signal 1 received, reloading\n")
    }

    @Test func `levels have nginx's words and order`() {
        let names = LogSeverity.allCases.map { "\($0.name)" }
        #expect(names == ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"])
        #expect(LogSeverity.emergency < .error && LogSeverity.error < .debug)
    }

    @Test func `R10 what others wrote cannot begin a line of its own`() {
        var line = LogLine(.error, wallSeconds: 0)
        line.append("bad kid \"")
        line.append("x\n2026/11/21 09:30:00 [alert] forged")
        line.append("\", client sent ")
        line.append(-5)
        line.append(target: Array("/a?token=x\u{1b}".utf8).span)
        let bytes = line.finish()
        #expect(bytes.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        #expect(
            text(bytes).hasSuffix(
                "[error] bad kid \"x\\x0A2026/11/21 09:30:00 [alert] forged\", client sent -5/a?token=***\n"))
    }

    @Test func `a token in a message is masked`() {
        let line = LogLine.make(
            .error, wallSeconds: 0, "upstream said Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl")
        #expect(text(line).hasSuffix("[error] upstream said Bearer ***\n"))
    }
}

struct LogLimiterTests {
    @Test func `R10 a reason writes ten lines a second, and says how many it left out`() {
        var limiter = LogLimiter(reasons: 2)
        let start = Instant(nanoseconds: 5_000_000_000)
        for _ in 0..<10 { #expect(limiter.admit(0, now: start) == .write(suppressed: 0)) }
        for _ in 0..<7 { #expect(limiter.admit(0, now: start) == .suppress) }
        #expect(limiter.admit(1, now: start) == .write(suppressed: 0))
        #expect(limiter.admit(0, now: start.after(seconds: 1)) == .write(suppressed: 7))
        #expect(limiter.admit(0, now: start.after(seconds: 1)) == .write(suppressed: 0))
    }

    @Test func `reasons that are out of range share one limit`() {
        var limiter = LogLimiter(reasons: 1)
        let now = Instant(nanoseconds: 5_000_000_000)
        for i in 0..<10 { #expect(limiter.admit(i.isMultiple(of: 2) ? -1 : 99, now: now) == .write(suppressed: 0)) }
        #expect(limiter.admit(7, now: now) == .suppress)
        #expect(limiter.admit(0, now: now) == .write(suppressed: 0))
    }

    @Test func `the number of suppressed lines is part of a line`() {
        var line = LogLine(.warning, wallSeconds: 0)
        line.append("client sent a bad host")
        line.append(suppressed: 0)
        line.append(suppressed: 41)
        #expect(text(line.finish()).hasSuffix("client sent a bad host (41 more like this were not written)\n"))
    }
}
