-- What a replay leaves, also one that was killed.
DROP TABLE IF EXISTS
    solve_replay_verdicts, solve_replay_registrations, solve_replay_rejected,
    solve_replay_standing, solve_replay_names, solve_replay_known, solve_replay_counts,
    solve_replay_user_drift, solve_replay_row_drift, solve_replay_letter_drift,
    solve_replay_repairs, solve_replay_fix
