import SeededRandom
import Testing

// Queues and buffers against arrays, and the blocks that go from hand to hand.
@testable import Bytes

private func array(_ span: Span<UInt8>) -> [UInt8] { (0..<span.count).map { span[$0] } }

struct ByteQueueTests {
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `random appends and consumptions agree with an array`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var pool = BufferPool()
        var queue = ByteQueue()
        var model: [UInt8] = []
        for step in 0..<3000 {
            switch random.below(8) {
            case 0..<4:
                let bytes = random.bytes(random.below(random.below(20) == 0 ? 40_000 : 600))
                queue.reserve(bytes.count, &pool)
                queue.append(bytes.span)
                model += bytes
            case 4:
                queue.reserve(26, &pool)
                queue.append("\r\n")
                queue.append(byte: 0x41)
                queue.append(decimal: UInt64(step))
                model += Array("\r\nA\(step)".utf8)
            case 5 where random.below(20) == 0:
                queue.release(to: &pool)
                model = []
            default:
                let n = random.below(queue.count + 1)
                queue.consume(n)
                model.removeFirst(n)
            }
            let found = array(queue.bytes)
            #expect(found == model, "seed \(seed), step \(step)")
            if found != model { return }
        }
    }

    @Test func `a queue takes its block from the pool and gives it back`() {
        var pool = BufferPool()
        var queue = ByteQueue()
        queue.reserve(10, &pool)
        queue.append([1, 2, 3].span)
        queue.release(to: &pool)
        let kept = pool.count
        #expect(kept == 1)
        queue.reserve(BufferPool.blockSize, &pool)
        let afterTaking = pool.count
        #expect(afterTaking == 0)
        queue.release(to: &pool)
        queue.release(to: &pool)
        let afterTwo = pool.count
        #expect(afterTwo == 1, "giving back twice gives one block")
    }

    @Test func `a queue that outgrows its block gives it back at once, and a large one goes`() {
        var pool = BufferPool()
        var queue = ByteQueue()
        queue.reserve(BufferPool.blockSize, &pool)
        queue.append([UInt8](repeating: 7, count: BufferPool.blockSize).span)
        queue.reserve(1, &pool)
        let afterGrowth = pool.count
        #expect(afterGrowth == 1)
        queue.release(to: &pool)
        let afterRelease = pool.count
        #expect(afterRelease == 1, "only blocks of the pool's size are kept")
    }

    @Test func `the pool keeps a bounded number of blocks`() {
        var pool = BufferPool()
        var queues: [Int: Int] = [:]
        var table = SlotTable<ByteQueue>(capacity: BufferPool.kept + 10)
        for i in 0..<BufferPool.kept + 10 {
            guard let id = table.insert(ByteQueue()) else { continue }
            table[id].reserve(1, &pool)
            queues[i] = Int(id.index)
        }
        for i in 0..<table.capacity { if let id = table.occupant(i) { table[id].release(to: &pool) } }
        let kept = pool.count
        #expect(kept == BufferPool.kept && queues.count == BufferPool.kept + 10)
    }

    @Test func `a queue that is never empty does not grow without end`() {
        var pool = BufferPool()
        var queue = ByteQueue()
        let piece = [UInt8](repeating: 1, count: 10_000)
        queue.reserve(piece.count, &pool)
        queue.append(piece.span)
        for _ in 0..<2000 {
            queue.reserve(piece.count, &pool)
            queue.append(piece.span)
            queue.consume(piece.count)
        }
        let (capacity, count) = (queue.capacity, queue.count)
        #expect(count == piece.count && capacity <= 8 * UInt32(piece.count))
    }
}

struct ByteBufferTests {
    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func `random writes and reads agree with an array`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var buffer = ByteBuffer(capacity: 1 + random.below(100))
        var model: [UInt8] = []
        for step in 0..<3000 {
            switch random.below(8) {
            case 0, 1:
                let bytes = random.bytes(random.below(700))
                buffer.append(bytes.span)
                model += bytes
            case 2:
                buffer.append(byte: 9)
                buffer.append("text")
                buffer.append(UInt64(0x0807_0605_0403_0201))
                model += [9] + Array("text".utf8) + [1, 2, 3, 4, 5, 6, 7, 8]
            case 3:
                let n = random.below(300)
                buffer.reserve(n)
                var free = buffer.free
                for i in 0..<n { free[i] = UInt8(truncatingIfNeeded: i) }
                buffer.commit(n)
                model += (0..<n).map { UInt8(truncatingIfNeeded: $0) }
            case 4:
                let n = random.below(buffer.count + 1)
                buffer.truncate(to: n)
                model.removeLast(model.count - n)
            case 5 where random.below(20) == 0:
                buffer.clear()
                model = []
            default:
                let n = random.below(buffer.count + 1)
                let front = array(buffer.prefix(n))
                #expect(front == Array(model.prefix(n)), "seed \(seed), step \(step)")
                buffer.consume(n)
                model.removeFirst(n)
            }
            let found = array(buffer.bytes)
            #expect(found == model, "seed \(seed), step \(step)")
            if found != model { return }
        }
    }
}

struct FixedArrayTests {
    @Test func `elements are read and written in their places`() {
        var array = FixedArray(repeating: Int32(5), count: 4)
        array[2] = 9
        array[0] += 1
        let found = (0..<array.count).map { array[$0] }
        #expect(found == [6, 5, 9, 5])
    }

    @Test func `an array's elements are copied, and none is fine`() {
        let array = FixedArray([3, 1, 2])
        let found = (0..<array.count).map { array[$0] }
        #expect(found == [3, 1, 2])
        let empty = FixedArray<Int>([]).count
        #expect(empty == 0)
    }
}

struct DecimalTests {
    @Test(arguments: [31, 32] as [UInt64])
    func `numbers are written as the standard library writes them`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let number = random.next() >> UInt64(random.below(64))
            let text = DecimalText(number)
            let found = String(decoding: array(text.bytes), as: UTF8.self)
            #expect(found == "\(number)", "seed \(seed)")
        }
    }

    @Test(arguments: [0, 1, 0x9abc_def0, 0xffff_ffff, 0x0123_4567] as [UInt32])
    func `hexadecimal digits stand highest first`(number: UInt32) {
        var buffer = ByteBuffer(capacity: 8)
        buffer.append(hexadecimal(number))
        let found = String(decoding: array(buffer.bytes), as: UTF8.self)
        let digits = String(number, radix: 16)
        #expect(found == String(repeating: "0", count: 8 - digits.count) + digits)
    }
}
