-- Suggestions as ghost text, for Neovim 0.11, which has no inline completion of its own.
--
-- What is suggested is kept with the place it begins at. Text typed that agrees with it only shortens it.

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local WAIT_MS = 40 -- for the next key; the server waits as its speed asks for
local namespace = vim.api.nvim_create_namespace('setfill')

local state = { items = {}, index = 1 } -- also: bufnr, row, col, client_id, request_id, timer

local function client_of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = 'setfill' })[1]
end

local function erase()
  if state.bufnr and vim.api.nvim_buf_is_valid(state.bufnr) then
    vim.api.nvim_buf_clear_namespace(state.bufnr, namespace, 0, -1)
  end
end

local function forget()
  erase()
  state.items, state.index = {}, 1
end

local function withdraw()
  local client = state.client_id and vim.lsp.get_client_by_id(state.client_id)
  if client and state.request_id then
    client:cancel_request(state.request_id)
  end
  state.request_id = nil
end

-- What is left of each item that agrees with what was typed since it was suggested, or nil.
local function rests()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if state.bufnr ~= vim.api.nvim_get_current_buf() or row - 1 ~= state.row or col < state.col then
    return nil
  end
  local typed = vim.api.nvim_get_current_line():sub(state.col + 1, col)
  local left = {}
  for _, item in ipairs(state.items) do
    if vim.startswith(item.text, typed) and #item.text > #typed then
      table.insert(left, { text = item.text:sub(#typed + 1), item = item })
    end
  end
  return #left > 0 and left or nil
end

local function current()
  local left = rests()
  return left and left[(state.index - 1) % #left + 1]
end

local function render()
  erase()
  local rest = current()
  if not rest then
    return
  end
  local lines = vim.split(rest.text, '\n', { plain = true })
  local below = vim.tbl_map(function(line)
    return { { (line:gsub('\r$', '')), 'Comment' } }
  end, vim.list_slice(lines, 2))
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  vim.api.nvim_buf_set_extmark(0, namespace, row - 1, col, {
    virt_text = { { (lines[1]:gsub('\r$', '')), 'Comment' } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
  })
end

local function receive(bufnr, row, col, result)
  if vim.api.nvim_get_mode().mode:sub(1, 1) ~= 'i' or vim.api.nvim_get_current_buf() ~= bufnr then
    return
  end
  forget()
  state.bufnr, state.row, state.col = bufnr, row, col
  for _, item in ipairs(result.items or result) do
    table.insert(state.items, { text = item.insertText, command = item.command })
  end
  render()
end

local function request(kind)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    return
  end
  withdraw()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  state.client_id = client.id
  -- The buffer's own number, not 0: only then are pending changes sent before the request.
  local _, id = client:request(METHOD, params, function(err, result)
    state.request_id = nil
    if not err and result then -- null: a newer request has overtaken this one
      receive(bufnr, row - 1, col, result)
    end
  end, bufnr)
  state.request_id = id
end

local function changed()
  if state.timer then
    state.timer:stop()
  end
  if rests() then
    render()
    return
  end
  forget()
  withdraw()
  state.timer = vim.defer_fn(function()
    if vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
      request(2)
    end
  end, WAIT_MS)
end

-- Insert `part` of what is shown, and tell the server.
local function take(rest, part)
  forget()
  require('setfill.insert').at_cursor(part)
  local client = state.client_id and vim.lsp.get_client_by_id(state.client_id)
  local id = rest.item.command and rest.item.command.arguments and rest.item.command.arguments[1]
  if client and id then
    local whole = part == rest.text
    client:notify('setfill/didAcceptSuggestion', { id = id, acceptedLength = not whole and vim.fn.strchars(part) or nil })
  end
end

local function take_matching(pattern)
  local rest = current()
  if rest then
    take(rest, rest.text:match(pattern) or rest.text)
  end
end

function M.enable()
  local group = vim.api.nvim_create_augroup('setfill', { clear = true })
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'TextChangedI', 'CursorMovedI' }, { group = group, callback = changed })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    callback = function()
      forget()
      withdraw()
    end,
  })
end

function M.is_shown()
  return current() ~= nil
end

function M.accept()
  take_matching('^.*$')
end

function M.accept_line()
  take_matching('^[\r\n]*[^\r\n]+')
end

function M.accept_word()
  take_matching('^%s*[%w_]+')
end

function M.next()
  state.index = state.index + 1
  render()
end

function M.previous()
  state.index = state.index - 1
  render()
end

function M.dismiss()
  forget()
  withdraw()
end

function M.ask()
  request(1)
end

return M
