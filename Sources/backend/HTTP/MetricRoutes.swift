// /metrics, for Prometheus; the example gateway does not let the world reach it.
import HTTPTypes
import Hummingbird
import NIOCore

struct MetricRoutes: Sendable {
    let metrics: MetricRegistry

    func add(to router: some RouterMethods) {
        router.get("/metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text)))
        }
    }
}
