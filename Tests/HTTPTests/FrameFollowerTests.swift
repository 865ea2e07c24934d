// Frames of WebSocket that pass: where they end, whatever pieces they come in; and the one frame that we write. Row R12.
import Bytes
import HTTP
import Testing

struct FrameFollowerTests {
    /// A frame as it goes over the wire; the payload is zeros.
    private static func frame(_ opcode: UInt8, _ size: Int, masked: Bool = false, lengthBytes: Int? = nil) -> [UInt8] {
        let extended = lengthBytes ?? (size < 126 ? 0 : size < 65_536 ? 2 : 8)
        var bytes: [UInt8] = [0x80 | opcode]
        let bit: UInt8 = masked ? 0x80 : 0
        bytes.append(bit | (extended == 0 ? UInt8(size) : extended == 2 ? 126 : 127))
        for i in 0..<extended { bytes.append(UInt8(truncatingIfNeeded: size >> (8 * (extended - 1 - i)))) }
        return bytes + [UInt8](repeating: 0xff, count: size + (masked ? 4 : 0))
    }
    private static let frames: [[UInt8]] = [
        frame(1, 0), frame(1, 0, masked: true), frame(2, 1), frame(2, 1, masked: true), frame(9, 125),
        frame(10, 125, masked: true), frame(2, 126), frame(2, 126, masked: true), frame(0, 300, masked: true),
        frame(2, 65_535), frame(2, 65_536, masked: true), frame(2, 3, lengthBytes: 2), frame(2, 3, lengthBytes: 8),
        [0xff, 0x00], [0x77, 0x80, 1, 2, 3, 4],
    ]

    @Test(arguments: frames)
    func `the end of a frame is found at every cut`(frame: [UInt8]) {
        let step = frame.count > 1000 ? 997 : 1
        for cut in stride(from: 0, through: frame.count, by: step) {
            var follower = FrameFollower()
            follower.follow(frame.span.extracting(0..<cut))
            #expect(follower.isBetweenFrames == (cut == 0 || cut == frame.count), "cut at \(cut)")
            follower.follow(frame.span.extracting(cut..<frame.count))
            #expect(follower.isBetweenFrames, "cut at \(cut)")
        }
    }

    @Test func `many frames in pieces of any size`() {
        var random = Random()
        for _ in 0..<50 {
            let chosen = (0..<20).map { _ in Self.frames[Int.random(in: 0..<Self.frames.count, using: &random)] }
            let bytes = chosen.flatMap(\.self)
            var ends: Set<Int> = [0]
            var end = 0
            for frame in chosen {
                end += frame.count
                ends.insert(end)
            }
            var follower = FrameFollower()
            var at = 0
            for cut in random.cuts(of: bytes.count) + [bytes.count] {
                follower.follow(bytes.span.extracting(at..<cut))
                at = cut
                #expect(follower.isBetweenFrames == ends.contains(at), "seed \(random.seed), at \(at)")
            }
        }
    }

    @Test func `up to the end of the frame and no further`() {
        let first = Self.frame(2, 300), second = Self.frame(1, 5)
        let bytes = first + second
        for cut in 1..<first.count {
            var follower = FrameFollower()
            follower.follow(bytes.span.extracting(0..<cut))
            #expect(follower.followToEnd(bytes.span.extracting(cut..<bytes.count)) == first.count - cut)
            #expect(follower.isBetweenFrames)
        }
        var follower = FrameFollower()
        #expect(follower.followToEnd(bytes.span) == 0, "between two frames nothing is left to wait for")
    }

    @Test func `a length that no one can send ends nothing`() {
        for masked: UInt8 in [0, 0x80] {
            var follower = FrameFollower()
            let bytes: [UInt8] = [0x82, masked | 127] + [UInt8](repeating: 0xff, count: 100_000)
            follower.follow(bytes.span)
            #expect(!follower.isBetweenFrames)
        }
    }

    @Test func `a close frame is noticed, and a payload that looks like one is not`() {
        var follower = FrameFollower()
        follower.follow([0x82, 0x02, 0x88, 0x00].span)
        #expect(!follower.hasClosed && follower.isBetweenFrames)
        follower.follow([0x88].span)
        #expect(!follower.hasClosed)
        follower.follow([0x02, 0x03].span)
        #expect(follower.hasClosed && !follower.isBetweenFrames)
    }

    private static func bytes(_ frame: CloseFrame, _ key: UInt32? = nil) -> [UInt8] {
        var out = ByteBuffer(capacity: 64)
        frame.append(maskedBy: key, to: &out)
        return out.bytes.indices.map { out.bytes[$0] }
    }

    @Test func `a close frame of ours`() {
        #expect(Self.bytes(.unauthenticated("")) == [0x88, 2, 0x11, 0x31])
        #expect(Self.bytes(.goingAway("idle")) == [0x88, 6, 0x03, 0xe9] + Array("idle".utf8))
        let masked = Self.bytes(.tryAgainLater("abc"), 0x0102_0304)
        #expect(masked.prefix(6) == [0x88, 0x85, 1, 2, 3, 4])
        let key: [UInt8] = [1, 2, 3, 4]
        let payload = masked.dropFirst(6).enumerated().map { $1 ^ key[$0 % 4] }
        #expect(payload == [0x03, 0xf5] + Array("abc".utf8))
        for frame in [Self.bytes(.unauthenticated("token_expired")), masked] {
            var follower = FrameFollower()
            follower.follow(frame.span)
            #expect(follower.isBetweenFrames && follower.hasClosed)
        }
    }
}
