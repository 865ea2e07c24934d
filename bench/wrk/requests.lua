-- What the scenarios share: the ten fields of a request, reading tokens, and the report at the end.
-- `require "requests"` in each script; `bench/wrk/run` starts wrk in this folder.
local requests = {}

local fields = {
  ["User-Agent"] = "okhttp/4.12.0",
  ["Accept"] = "application/json",
  ["Accept-Language"] = "en-GB,en;q=0.8",
  ["Accept-Encoding"] = "gzip",
  ["X-Request-Id"] = "5f0c7a52-8d0e-4a55-9f0e-0b6f2c9d7a11",
  ["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  ["X-Client-Version"] = "5.14.2",
  ["Cache-Control"] = "no-cache",
}

-- One request as bytes, with the token or without.
function requests.make(token)
  local headers = {}
  for name, value in pairs(fields) do headers[name] = value end
  if token then headers["Authorization"] = "Bearer " .. token end
  return wrk.format("GET", nil, headers)
end

-- One request for each token: lines first, first + step, first + 2 * step … of the file; at most `limit`.
function requests.from(file, first, step, limit)
  local made, number = {}, 0
  for line in io.lines(file) do
    if number >= first and (number - first) % step == 0 then made[#made + 1] = requests.make(line) end
    number = number + 1
    if #made == limit then break end
  end
  if #made == 0 then error("no tokens in " .. file) end
  return made
end

-- A function that gives the requests in turn, for ever.
function requests.cycle(made)
  local i = 0
  return function()
    i = i % #made + 1
    return made[i]
  end
end

-- Prints the counts; ends with status 1 unless all answers (`want` "ok") or none ("refused") were 2xx or 3xx.
function requests.report(want)
  return function(summary)
    local refused, total = summary.errors.status, summary.requests
    local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format("%d answers, %d of them refusals, %d connections broken\n", total, refused, broken))
    local good = total > 0 and broken == 0 and refused == (want == "ok" and 0 or total)
    if not good then
      io.write(want == "ok" and "FAILED: every request should have been answered with 2xx\n"
        or "FAILED: every request should have been refused\n")
      os.exit(1)
    end
  end
end

return requests
