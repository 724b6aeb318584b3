-- Putting text into the buffer as one change: one undo takes it back.

local M = {}

local function replace(row, start_col, end_row, end_col, text)
  vim.cmd('let &g:undolevels = &g:undolevels') -- begins a new change
  local lines = vim.split((text:gsub('\r', '')), '\n', { plain = true })
  vim.api.nvim_buf_set_text(0, row, start_col, end_row, end_col, lines)
  local last_col = #lines == 1 and start_col + #lines[1] or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, last_col })
end

--- Insert `text` at the cursor and move the cursor behind it.
function M.at_cursor(text)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  replace(row - 1, col, row - 1, col, text)
end

--- Put `text` in place of a `vim.Range`, or at the cursor without one.
function M.at(range, text)
  if not range then
    return M.at_cursor(text)
  end
  replace(range.start.row, range.start.col, range.end_.row, range.end_.col, text)
end

return M
