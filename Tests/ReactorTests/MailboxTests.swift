// Messages between threads: their order, their limit, and that whoever sleeps is woken.
import Bytes
import Glibc
import Reactor
import Testing

/// A value of one of several senders.
private struct Letter: Sendable, Equatable {
    let sender: Int
    let number: Int
}

struct MailboxTests {
    @Test func `messages are taken in the order in which they were put`() {
        let mailbox = Mailbox<Int>()
        for i in 0..<100 { mailbox.post(i) }
        #expect(mailbox.takeAll() == Array(0..<100))
        #expect(mailbox.takeAll().isEmpty)
    }

    @Test func `a full mailbox drops what comes and says so`() {
        let mailbox = Mailbox<Int>()
        let taken = (0..<5).map { mailbox.post($0, limit: 3) }
        #expect(taken == [true, true, true, false, false])
        #expect(mailbox.takeAll() == [0, 1, 2])
        let again = mailbox.post(9, limit: 3)
        #expect(again && mailbox.takeAll() == [9])
    }

    @Test func `a limit of none takes nothing`() {
        let mailbox = Mailbox<Int>()
        let taken = mailbox.post(1, limit: 0)
        #expect(!taken && mailbox.takeAll().isEmpty)
    }

    @Test func `a sleeper is woken by another thread's message`() {
        let mailbox = Mailbox<Int>()
        Thread.start(name: "sender") {
            usleep(20_000)
            mailbox.post(1)
        }
        let start = EventLoop.monotonic
        mailbox.sleep(milliseconds: 20_000)
        let slept = (EventLoop.monotonic.nanoseconds - start.nanoseconds) / 1_000_000
        #expect(mailbox.takeAll() == [1] && slept < 10_000)
    }

    @Test func `nobody is woken by an empty mailbox`() {
        let mailbox = Mailbox<Int>()
        mailbox.post(1)
        _ = mailbox.takeAll()
        let start = EventLoop.monotonic
        mailbox.sleep(milliseconds: 30)
        #expect(EventLoop.monotonic.nanoseconds - start.nanoseconds >= 29_000_000)
    }

    @Test func `each sender's messages arrive once and in order while others send`() {
        let mailbox = Mailbox<Letter>()
        let senders = 4, letters = 2000
        for sender in 0..<senders {
            Thread.start(name: "sender \(sender)") {
                for number in 0..<letters { mailbox.post(Letter(sender: sender, number: number)) }
            }
        }
        var next = [Int](repeating: 0, count: senders)
        var isInOrder = true
        let end = EventLoop.monotonic.after(seconds: 20)
        while next.reduce(0, +) < senders * letters && EventLoop.monotonic < end {
            mailbox.sleep(milliseconds: 1000)
            for letter in mailbox.takeAll() {
                if letter.number != next[letter.sender] { isInOrder = false }
                next[letter.sender] += 1
            }
        }
        #expect(isInOrder && next == [Int](repeating: letters, count: senders))
    }
}
