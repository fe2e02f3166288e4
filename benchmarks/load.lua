-- For wrk: sends the requests of a file in turn and prints a summary as JSON. Used by peer.py.
-- A line of the file is a request: method, path and body, separated by tabs.
local requests, at = {}, 0

function init(args)
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
      local headers = { ["Content-Type"] = "application/json" }
      requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   local lost = errors.connect + errors.read + errors.write + errors.timeout
   local form = '\n{"seconds": %f, "requests": %d, "refused": %d, "lost": %d, "p50_ms": %f, "p95_ms": %f, "p99_ms": %f}\n'
   local p50, p95, p99 = latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3
   io.write(form:format(summary.duration / 1e6, summary.requests, errors.status, lost, p50, p95, p99))
end
