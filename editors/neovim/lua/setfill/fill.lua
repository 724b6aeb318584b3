-- Filling on demand: the server computes, then asks Neovim to apply one edit.

local M = {}

local function execute(command, argument)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ bufnr = bufnr, name = 'setfill' })[1]
  if not client then
    vim.notify('Setfill is not running here', vim.log.levels.WARN)
    return
  end
  argument.textDocument = { uri = vim.uri_from_bufnr(bufnr), version = vim.lsp.util.buf_versions[bufnr] }
  client:request('workspace/executeCommand', { command = command, arguments = { argument } }, function(err)
    if err then
      vim.notify('Setfill: ' .. err.message, vim.log.levels.WARN)
    end
  end, bufnr)
end

--- Fill all marked holes of the buffer together.
function M.holes()
  execute('setfill.fillHoles', {})
end

--- Replace the lines of a range; without one, fill in at the cursor.
function M.range(arguments)
  local first, last
  if arguments.range > 0 then
    first, last = { line = arguments.line1 - 1, character = 0 }, { line = arguments.line2, character = 0 }
  else
    local client = vim.lsp.get_clients({ bufnr = 0, name = 'setfill' })[1]
    local encoding = client and client.offset_encoding or 'utf-16'
    first = vim.lsp.util.make_position_params(0, encoding).position
    last = first
  end
  execute('setfill.fill', { ranges = { { start = first, ['end'] = last } } })
end

--- Say why the last place of the buffer stayed without a suggestion.
function M.why()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ bufnr = bufnr, name = 'setfill' })[1]
  if not client then
    vim.notify('Setfill is not running here', vim.log.levels.WARN)
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  client:request('setfill/whySilent', params, function(err, answer)
    local setting = not err and type(answer.setting) == 'string' and (' (setting `%s`)'):format(answer.setting) or ''
    vim.notify('Setfill: ' .. (err and err.message or answer.message .. setting))
  end, bufnr)
end

--- Show the server's state.
function M.status()
  local client = vim.lsp.get_clients({ name = 'setfill' })[1]
  if not client then
    vim.notify('Setfill is not running')
    return
  end
  client:request('setfill/status', vim.empty_dict(), function(err, status)
    if err then
      return vim.notify('Setfill: ' .. err.message, vim.log.levels.WARN)
    end
    local function known(value)
      return value ~= vim.NIL and value or nil
    end
    local counts = status.statistics
    vim.notify(table.concat({
      'Setfill: ' .. (status.enabled and status.state or 'switched off'),
      status.model .. (known(status.precision) and ' in ' .. status.precision or ''),
      ('%d of %d suggestions accepted'):format(counts.accepted or 0, counts.shown or 0),
      known(status.problem),
    }, ', '))
  end, 0)
end

return M
