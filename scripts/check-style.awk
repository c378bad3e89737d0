# The C part of check-style.sh: banned calls, long functions, mutable state outside functions.
# Input: C files laid out by clang-format. Variables: BANNED, LIBRARY (lines "call replacement"),
# EXCEPTIONS (lines "path pattern | word | reason"), MAX (lines of a function).

function breach(line, text) { printf "%s:%d: %s\n", FILENAME, line, text }

function read_calls(text, table,    lines, n, i, word) {
  n = split(text, lines, "\n")
  for (i = 1; i <= n; i++) {
    word = lines[i]
    sub(/ .*/, "", word)
    sub(/^[^ ]+ /, "", lines[i])
    table[word] = lines[i]
  }
}

BEGIN {
  read_calls(BANNED, banned)
  read_calls(LIBRARY, library)
  n_exceptions = split(EXCEPTIONS, rows, "\n")
  for (i = 1; i <= n_exceptions; i++) {
    split(rows[i], cells, " [|] ")
    exempt_path[i] = cells[1]
    exempt_word[i] = cells[2]
  }
}

function is_exempt(word,    i) {
  for (i = 1; i <= n_exceptions; i++) {
    if (FILENAME ~ exempt_path[i] && exempt_word[i] == word) return 1
  }
  return 0
}

# The line without comments and with empty strings; remembers an open comment.
function code_of(line,    out, at, two, quote) {
  out = ""
  at = 1
  while (at <= length(line)) {
    two = substr(line, at, 2)
    if (in_comment) {
      if (two == "*/") { in_comment = 0; at += 2 } else at++
    } else if (two == "/*") { in_comment = 1; at += 2 }
    else if (two == "//") break
    else if ((quote = substr(line, at, 1)) == "\"" || quote == "'") {
      out = out quote quote
      for (at++; at <= length(line) && substr(line, at, 1) != quote; at++) {
        if (substr(line, at, 1) == "\\") at++
      }
      at++
    } else { out = out substr(line, at, 1); at++ }
  }
  sub(/[ ]+$/, "", out)
  return out
}

# Looks each word before a "(" up in the tables.
function check_calls(code,    rest, word) {
  rest = code
  while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ ]*\(/)) {
    word = substr(rest, RSTART, RLENGTH)
    # A member of the same name (ops->signal()) is another function.
    preceding = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
    rest = substr(rest, RSTART + RLENGTH)
    sub(/[ ]*\($/, "", word)
    if (preceding == "." || preceding == ">" || is_exempt(word)) continue
    if (word in banned) breach(FNR, word "() is banned: use " banned[word])
    if ((word in library) && is_library) {
      breach(FNR, word "() in a part that never prints or exits: use " library[word])
    }
  }
  if (is_library && code ~ /(^|[^A-Za-z0-9_])fprintf[ ]*\((stderr|stdout)/) {
    breach(FNR, "fprintf(stderr) in a part that never prints or exits: use error_set()")
  }
}

# Is the declaration (up to its initialiser) of an object that can change? What a pointer points
# to does not matter, the pointer itself does: the const must follow the last star.
function is_mutable(text) {
  sub(/=.*/, "", text)
  sub(/\[.*/, "", text)
  if (text ~ /\(/) return 0 # a prototype, or a macro's use
  if (text ~ /\*/) sub(/.*\*/, "*", text)
  return text !~ /(^|[^A-Za-z0-9_])(const|constexpr|__constant__)([^A-Za-z0-9_]|$)/
}

function is_declaration_of_object(text) {
  if (text ~ /^(typedef|extern|_Static_assert|static_assert|using|namespace|template)/) return 0
  if (text ~ /^(struct|union|enum)( [A-Za-z0-9_]+)?( __attribute__.*)?( \{.*)?;?$/) return 0
  return text ~ /^[A-Za-z_][A-Za-z0-9_ *]*[ *][A-Za-z_][A-Za-z0-9_]*[ ]*(\[.*|=.*|;.*)$/
}

function check_object(text) {
  if (is_declaration_of_object(text) && is_mutable(text) && !is_exempt("*")) {
    breach(start, "mutable state at file scope: pass it in, or make it const")
  }
}

FNR == 1 {
  in_comment = in_function = in_block = continued = 0
  start = 0
  is_library = FILENAME ~ /^(base|model|io|kernels)\//
}

{
  code = code_of($0)
  check_calls(code)
}

# Preprocessor lines and what continues them are no part of the shape below.
code ~ /^[ ]*#/ || continued { continued = $0 ~ /\\$/; next }

in_function {
  if (code ~ /^[ ]+static / && is_mutable(code) && !is_exempt("*")) {
    breach(FNR, "mutable static variable: pass the state in")
  }
  if (code ~ /^\}/) {
    if (FNR - start + 1 > MAX) {
      breach(start, "a function of " (FNR - start + 1) " lines, at most " MAX ": split it")
    }
    in_function = start = 0
  }
  next
}

# A type's body may declare an object behind it: struct { ... } it = { ... };
in_block {
  if (code !~ /^\}/) next
  if (text ~ /^(static )?(struct|union|enum)/ && code ~ /^\} ?[*A-Za-z]/ && !is_exempt("*")) {
    breach(start, "mutable state at file scope: pass it in, or make it const")
  }
  if (code !~ /\{$/) in_block = start = 0
  next
}

code ~ /^extern ""C?"" \{/ || code ~ /^extern "" *\{/ { next }

code ~ /^[A-Za-z_]/ || start {
  if (!start) { start = FNR; text = "" }
  text = text (text == "" ? "" : " ") code
  if (code ~ /\{[ ]*$/) {
    head = text
    sub(/\{[ ]*$/, "", head)
    if (head ~ /\(/ && head !~ /=/) { in_function = 1; next }
    check_object(text)
    in_block = 1
  } else if (code ~ /;[ ]*$/ || code ~ /\}[ ]*$/ || code ~ /\)[ ]*$/ && text ~ /^[A-Z_]+\(/) {
    check_object(text)
    start = 0
  }
}
