"""Which tests README's command runs: one case of each kind, marked ``fast``."""

from collections.abc import Iterable

import pytest

APART = ("oracle", "fuzz", "site")
"""Marks of what needs real models or the built documentation, or searches for long."""
SLOW = frozenset(
    {
        "test_auto.py::test_the_least_is_chosen",
        "test_auto.py::test_the_text_is_that_of_the_form",
        "test_calibration.py::test_decode_of_unseen_devices_of_all_vendors",
        "test_calibration.py::test_decode_of_unseen_nvidia_devices",
        "test_calibration.py::test_prefill_of_unseen_nvidia_devices",
        "test_cli_analysis.py::test_a_range_that_is_not_given_has_few_steps",
        "test_cli_analysis.py::test_crossovers_of_options_and_of_parts",
        "test_design.py::test_enclosures_enclose",
        "test_design.py::test_the_best_value_that_is_named_is_the_best",
        "test_docs.py::test_commands_run",
        "test_embedded.py::test_clean_under_sanitizers",
        "test_embedded.py::test_sizes_are_small",
        "test_explore.py::test_a_link_brings_everything_back",
        "test_explore.py::test_a_narrow_screen_scrolls_in_one_direction",
        "test_explore.py::test_a_page_is_one_file",
        "test_explore.py::test_charts_show_the_numbers",
        "test_explore.py::test_controls_work_by_keyboard_and_as_typed",
        "test_explore.py::test_names_that_stand_twice_are_one_entry",
        "test_explore.py::test_numbers_are_those_of_forecasts",
        "test_explore.py::test_numbers_as_a_file",
        "test_explore.py::test_operators_and_summands_add_up",
        "test_explore.py::test_what_is_refused_is_said",
        "test_headers.py::test_default_names_are_identifiers_of_31_letters",
        "test_languages.py::test_cpp",
        "test_languages.py::test_go",
        "test_languages.py::test_kotlin",
        "test_languages.py::test_rust",
        "test_languages.py::test_swift",
        "test_languages.py::test_swifts_grammar",
        "test_laws.py::test_decode_steps_add_up_to_an_exact_prefill",
        "test_manners.py::test_commands_find_them",
        "test_measurements.py::test_calibrate_writes_an_overlay",
        "test_measurements.py::test_defaults_by_class_are_the_fits",
        "test_measurements.py::test_this_machine_becomes_a_spec",
        "test_measurements.py::test_validate",
        "test_newcomer.py::test_a_page_prints_what_it_shows",
        "test_nodes.py::test_folding_never_changes_a_value",
        "test_paper.py::test_no_line_is_wider_than_a_column",
        "test_plots.py::test_axes_end_a_little_above_where_memory_ends",
        "test_plots.py::test_memory_by_role_is_what_is_held",
        "test_plots.py::test_numbers_stand_in_their_regions",
        "test_plots.py::test_regions_look_like_what_takes_the_time",
        "test_plots.py::test_throughput_is_of_a_device_and_ends_with_memory",
        "test_regimes.py::test_prompt_where_chunking_starts_to_pay",
        "test_regimes.py::test_the_max_free_formula_is_exact_inside_its_region_and_differs_outside",
        "test_report_golden.py::test_printing_does_not_depend_on_the_hash_seed",
        "test_sensitivity.py::test_elasticities_equal_central_differences_in_exact_arithmetic",
        "test_sensitivity.py::test_elasticity_in_the_length_of_a_generation_is_that_of_the_sum",
        "test_sensitivity.py::test_symbolic_elasticities_are_the_local_ones",
        "test_short_forms.py::test_the_article_command",
        "test_simulator.py::test_symbols_bound_afterwards_equal_the_simulator",
        "test_spelling.py::test_everything_that_is_printed_follows",
        "test_splits.py::test_no_point_is_beyond_the_certificate",
        "test_steps.py::test_regimes_hold_at_every_whole_value",
        "test_sums.py::test_maxima_of_two_lines",
        "test_sweeps.py::test_chunks_are_written_in_pieces",
        "test_tables.py::test_four_arguments",
        "test_tables.py::test_what_cannot_be_certified_is_refused",
        "test_tensor_parallel.py::test_every_operator_of_a_layer_has_a_part",
        "test_tensor_parallel.py::test_no_operator_is_repeated_unless_its_block_says_so",
        "test_truth.py::test_no_record_is_left_out",
        "test_typing.py::test_mypy_accepts_what_users_write",
        "test_typing.py::test_pyright_accepts_what_users_write",
        "test_whole_forecasts.py::test_chunked_prompts_equal_the_loop",
    }
)
"""Tests of which even one case takes longer than a second or so: none of theirs is fast."""


FAST = pytest.StashKey[dict[str, bool]]()
"""The files that were collected, and whether one of each one's tests is fast."""


def mark_fast(items: Iterable[pytest.Item]) -> dict[str, bool]:
    """Mark the first case of each test function, and the first doctest of each module.

    Files are given by path, with whether something in them is marked.
    """
    seen, files = set(), dict[str, bool]()
    for item in items:
        function = item.nodeid.partition("[")[0]
        kind = str(item.path) if isinstance(item, pytest.DoctestItem) else function
        apart = any(item.get_closest_marker(name) for name in APART)
        file = function.partition("::")[0]
        marked = kind not in seen and not apart and function.removeprefix("tests/") not in SLOW
        if marked:
            item.add_marker(pytest.mark.fast)
        seen.add(kind)
        files[file] = files.get(file, False) or marked
    return files
