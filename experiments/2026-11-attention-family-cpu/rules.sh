# The rules for landmarks, and the other kinds, whose gap to exact attention the scripts of this folder measure. They say first what
# `measure NAME [--set key=value]...` does, then call `every_rule`.
every_rule() {
  local landmarks steps window
  for landmarks in 32 64 128; do
    local count=(--set num_landmarks="$landmarks")
    measure "means-$landmarks" "${count[@]}"
    measure "strided-$landmarks" "${count[@]}" --set landmarks=strided
    for steps in 1 2 4; do measure "k_means_$steps-$landmarks" "${count[@]}" --set landmarks=k_means --set k_means_steps="$steps"; done
    measure "ends-$landmarks" "${count[@]}" --set keep_ends=true
    measure "solve-$landmarks" "${count[@]}" --set pinv=solve
    for window in 16 64; do measure "window_$window-$landmarks" "${count[@]}" --set local_window="$window"; done
    measure "agent-$landmarks" --set attention=agent --set num_agents="$landmarks"
  done
  for window in 64 128; do measure "longformer-$window" --set attention=longformer --set attention_window="$window"; done
}
