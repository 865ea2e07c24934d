// One connection's commands in their order: each reply belongs to the oldest that waits. When one is not answered in
// time, or the bytes make no sense, the order is lost, and the connection is closed with all that wait.
import NIOCore

/// A command on its way through the channel, and who waits for the answer.
struct RedisRequest: Sendable {
    let command: RedisCommand
    let answer: EventLoopPromise<RedisReply>
}

final class RedisPipeline: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = RedisRequest
    typealias OutboundOut = ByteBuffer

    private struct Waiting {
        let answer: EventLoopPromise<RedisReply>
        let deadline: NIODeadline
    }

    /// Commands that may wait at once.
    private static let waitingLimit = 4096

    private let timeout: TimeAmount
    private var replies: RedisReplyReader
    private var waiting = CircularBuffer<Waiting>()
    private var isFlushDue = false
    private var isTimerSet = false
    private var failure: RedisFailure?

    init(timeout: TimeAmount) throws(RedisFailure) {
        guard let replies = RedisReplyReader() else { throw .unreachable("there is no memory") }
        self.replies = replies
        self.timeout = timeout
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let request = unwrapOutboundIn(data)
        if let refusal = failure ?? (waiting.count < Self.waitingLimit ? nil : .busy) {
            request.answer.fail(refusal)
            promise?.fail(refusal)
            return
        }
        waiting.append(Waiting(answer: request.answer, deadline: .now() + timeout))
        context.write(wrapOutboundOut(request.command.bytes), promise: promise)
        watch(context)
    }

    /// What is written in one turn of the loop goes out together.
    func flush(context: ChannelHandlerContext) {
        guard !isFlushDue else { return }
        isFlushDue = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushDue = false
            context.flush()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do throws(RedisFailure) {
            try replies.feed(unwrapInboundIn(data))
            while let reply = try replies.next() {
                guard let first = waiting.popFirst() else { throw .unreachable("an answer to nothing came") }
                first.answer.succeed(reply)
            }
        } catch {
            fail(error, closing: context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.unreachable("\(error)"), closing: context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.unreachable("the connection was closed"))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // A connection that never became one tells nothing else.
        fail(.unreachable("the connection was closed"))
    }

    private func fail(_ reason: RedisFailure) {
        guard failure == nil else { return }
        failure = reason
        for one in waiting { one.answer.fail(reason) }
        waiting.removeAll()
    }

    private func fail(_ reason: RedisFailure, closing context: ChannelHandlerContext) {
        fail(reason)
        context.close(promise: nil)
    }

    /// Every command has the same time, so the oldest is the first that can be late.
    private func watch(_ context: ChannelHandlerContext) {
        guard !isTimerSet, let oldest = waiting.first else { return }
        isTimerSet = true
        context.eventLoop.assumeIsolated().scheduleTask(deadline: oldest.deadline) {
            self.isTimerSet = false
            guard let oldest = self.waiting.first else { return }
            guard oldest.deadline <= .now() else { return self.watch(context) }
            self.fail(.unreachable("no answer in time"), closing: context)
        }
    }
}
