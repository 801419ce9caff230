# SPDX-License-Identifier: Apache-2.0
# Only cuda.h is needed to build; the driver is loaded at run time.
find_path(CUDA_INCLUDE_DIR cuda.h
	HINTS $ENV{CUDA_HOME}/include $ENV{CUDA_PATH}/include /usr/local/cuda/include
	/opt/cuda/include)
if(NOT CUDA_INCLUDE_DIR)
	message(FATAL_ERROR "cuda.h not found: install the CUDA headers (>= 12.4) or set CUDA_HOME")
endif()
file(STRINGS ${CUDA_INCLUDE_DIR}/cuda.h cuda_version_line REGEX "^#define CUDA_VERSION [0-9]+")
string(REGEX MATCH "[0-9]+" CUDA_HEADER_VERSION "${cuda_version_line}")
if(CUDA_HEADER_VERSION LESS 12040)
	message(FATAL_ERROR
		"cuda.h in ${CUDA_INCLUDE_DIR} is ${CUDA_HEADER_VERSION}; lithos needs >= 12040")
endif()
add_library(lithos_cuda INTERFACE)
target_include_directories(lithos_cuda SYSTEM INTERFACE ${CUDA_INCLUDE_DIR})
