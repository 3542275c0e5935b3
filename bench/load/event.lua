-- Posts log events one at a time, each with an id of its own: wrk … -s event.lua URL -- KEY RUN
local number = 0
local head, tail

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  head = '[{"type":"user","timestamp":"2026-10-01T13:45:00.000Z","event_id":"u_' .. args[2] .. '_'
  tail = '","event":{"username":"my_user","email":"my_user@email.com","operation":"write"}}]'
end

function request()
  number = number + 1
  return wrk.format(nil, nil, nil, head .. number .. tail)
end
