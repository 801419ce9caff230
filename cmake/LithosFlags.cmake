# SPDX-License-Identifier: Apache-2.0
# Compiler flags of everything, one list (docs: STYLE rule 48), and the sanitizer switch.
get_filename_component(LITHOS_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)

set(LITHOS_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")
option(LITHOS_COVERAGE "Instrument for gcov" OFF)
option(LITHOS_WERROR "Warnings are errors" ON)
option(LITHOS_FUZZ "Build the fuzz targets with libFuzzer, and no other tests; needs clang" OFF)

add_library(lithos_flags INTERFACE)
target_compile_options(lithos_flags INTERFACE
	$<$<COMPILE_LANGUAGE:C>:
	-Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
	-Wmissing-declarations -Wold-style-definition -Wpointer-arith -Wcast-align -Wcast-qual
	-Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion
	-Wnull-dereference -Wdouble-promotion -fno-common>)
if(LITHOS_WERROR)
	target_compile_options(lithos_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(lithos_flags INTERFACE
		$<$<COMPILE_LANGUAGE:C>:-Wduplicated-cond -Wlogical-op>)
endif()
target_include_directories(lithos_flags INTERFACE ${LITHOS_ROOT}/include ${LITHOS_ROOT}/src)
target_compile_definitions(lithos_flags INTERFACE _GNU_SOURCE)
target_link_options(lithos_flags INTERFACE -Wl,-z,relro,-z,now)

if(LITHOS_SANITIZE)
	target_compile_options(lithos_flags INTERFACE -fsanitize=${LITHOS_SANITIZE}
		-fno-omit-frame-pointer -fno-sanitize-recover=all)
	target_link_options(lithos_flags INTERFACE -fsanitize=${LITHOS_SANITIZE})
else()
	# A sanitized library may leave its runtime's symbols to the program it is loaded into.
	target_link_options(lithos_flags INTERFACE -Wl,-z,defs)
endif()
if(LITHOS_FUZZ)
	target_compile_options(lithos_flags INTERFACE -fsanitize=fuzzer-no-link -w)
endif()
if(LITHOS_COVERAGE)
	target_compile_options(lithos_flags INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(lithos_flags INTERFACE --coverage)
endif()
